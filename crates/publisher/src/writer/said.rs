//! What a store was told of an account beside its events, for a store that forgets it.

use std::collections::HashMap;

use contracts::CommandId;
use log_port::HeadField;

use crate::store::{Act, Asked, Token};

/// All of it was said under one epoch.
#[derive(Default)]
pub(super) struct Said {
    /// Commands that are handed over, and neither done nor left.
    handed: HashMap<CommandId, Asked>,
    opened: bool,
    logged_in: Option<bool>,
}

impl Said {
    pub(super) fn is_empty(&self) -> bool {
        self.handed.is_empty() && !self.opened && self.logged_in.is_none()
    }

    pub(super) fn handed_over(&mut self, asked: Asked) {
        self.handed.insert(asked.begin.command.clone(), asked);
    }

    /// The token of the last hand-over of a command that is under way.
    pub(super) fn token(&self, command: &CommandId) -> Option<Token> {
        self.handed.get(command).map(|asked| asked.token)
    }

    /// The command is done or left.
    pub(super) fn ended(&mut self, command: &CommandId) {
        self.handed.remove(command);
    }

    pub(super) fn noted(&mut self, note: HeadField) {
        match note {
            HeadField::Opened => self.opened = true,
            HeadField::LoggedIn(now) => self.logged_in = Some(now),
        }
    }

    /// All of it once more, for a store that may have lost it; it changes nothing where it is known.
    pub(super) fn again(&self) -> Vec<Act> {
        let notes =
            [self.opened.then_some(HeadField::Opened), self.logged_in.map(HeadField::LoggedIn)];
        let notes: Vec<_> = notes.into_iter().flatten().collect();
        let handed: Vec<_> = self.handed.values().cloned().collect();
        let handed = (!handed.is_empty()).then_some(Act::Admit(handed));
        handed.into_iter().chain((!notes.is_empty()).then_some(Act::SetHead(notes))).collect()
    }
}
