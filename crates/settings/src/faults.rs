use std::fmt;

/// One invalid setting or unreadable source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingFault {
    /// Name of the setting, such as `broker.prefetch`, or of the file.
    pub setting: String,
    /// The problem, without the value: it may be a secret.
    pub problem: String,
}

/// All faults of the settings.
#[derive(Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct SettingFaults(Vec<SettingFault>);

impl SettingFaults {
    /// Adds a fault, unless the setting has one already.
    pub(crate) fn add(&mut self, setting: impl Into<String>, problem: impl Into<String>) {
        let fault = SettingFault { setting: setting.into(), problem: problem.into() };
        if !self.0.iter().any(|known| known.setting == fault.setting) {
            self.0.push(fault);
        }
    }

    pub(crate) fn extend(&mut self, others: Self) {
        for SettingFault { setting, problem } in others.0 {
            self.add(setting, problem);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &SettingFault> {
        self.0.iter()
    }
}

impl fmt::Display for SettingFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, SettingFault { setting, problem }) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{setting}: {problem}")?;
        }
        Ok(())
    }
}

impl From<SettingFault> for SettingFaults {
    fn from(fault: SettingFault) -> Self {
        Self(vec![fault])
    }
}
