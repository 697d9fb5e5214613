//! What a store was told of an account beside its events, for a store that forgets it.

use std::collections::HashMap;

use contracts::{Claimed, CommandId, Epoch, Note};

use crate::store::{Asked, Token};
use crate::writer::flight::{Beginning, Task};

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

    pub(super) fn noted(&mut self, note: Note) {
        match note {
            Note::Opened => self.opened = true,
            Note::LoggedIn(now) => self.logged_in = Some(now),
        }
    }

    /// What must be said once more to a store whose head says `claimed`. Of the ledger a head says
    /// nothing: hand-overs are repeated, which changes nothing where they are known.
    pub(super) fn again(&self, epoch: Epoch, claimed: &Claimed) -> Vec<Task> {
        let begin = |asked: &Asked| Task::Begin(Beginning { asked: asked.clone(), answer: None });
        let mut tasks: Vec<_> = self.handed.values().map(begin).collect();
        if self.opened && claimed.opened != Some(epoch) {
            tasks.push(Task::Note(Note::Opened));
        }
        if let Some(now) = self.logged_in.filter(|now| *now != claimed.logged_in) {
            tasks.push(Task::Note(Note::LoggedIn(now)));
        }
        tasks
    }
}
