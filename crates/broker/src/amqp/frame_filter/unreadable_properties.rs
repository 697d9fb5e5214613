/// Why the AMQP properties of a message are not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnreadableProperties {
    /// A short string, such as an id or a header's name, is not UTF-8.
    NotUtf8,
    /// The headers hold tables or arrays inside one another.
    TooDeep,
    /// They take too many bytes.
    TooLarge,
    /// They break AMQP's grammar.
    Malformed,
}

impl UnreadableProperties {
    const ALL: [Self; 4] = [Self::NotUtf8, Self::TooDeep, Self::TooLarge, Self::Malformed];

    /// The reason of the dead letter.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NotUtf8 => "its AMQP properties hold text that is not UTF-8",
            Self::TooDeep => "its AMQP headers are nested more than 8 levels deep",
            Self::TooLarge => "its AMQP properties are larger than 16 KiB",
            Self::Malformed => "its AMQP properties cannot be read",
        }
    }

    /// Its number in the mark that replaces the properties.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// The one with this number.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.code() == code)
    }
}
