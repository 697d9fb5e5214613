use std::collections::HashMap;

use contracts::LedgerKey;
use log_port::HeadField;

use crate::store::{AdmissionRequest, DispatchToken, StoreOperation};

/// What a store holds of an account beside its events and may have lost: commands that are in
/// flight, and fields of the head. All of it was written under one epoch.
#[derive(Default)]
pub(in crate::writer) struct DispatchRecord {
    /// Commands that are dispatched, and neither done nor undone.
    dispatched: HashMap<LedgerKey, AdmissionRequest>,
    opened: bool,
    logged_in: Option<bool>,
}

impl DispatchRecord {
    pub(in crate::writer) fn is_empty(&self) -> bool {
        self.dispatched.is_empty() && !self.opened && self.logged_in.is_none()
    }

    pub(in crate::writer) fn insert(&mut self, request: AdmissionRequest) {
        self.dispatched.insert(request.admission.command.clone(), request);
    }

    /// The token of the last dispatch of a command that is in flight.
    pub(in crate::writer) fn token(&self, command: &LedgerKey) -> Option<DispatchToken> {
        self.dispatched.get(command).map(|request| request.token)
    }

    /// The command is done, or its dispatch undone.
    pub(in crate::writer) fn remove(&mut self, command: &LedgerKey) {
        self.dispatched.remove(command);
    }

    pub(in crate::writer) fn set_head_field(&mut self, field: HeadField) {
        match field {
            HeadField::Opened => self.opened = true,
            HeadField::LoggedIn(logged_in) => self.logged_in = Some(logged_in),
        }
    }

    /// Operations that write all of it again; they change nothing in a store that still has it.
    pub(in crate::writer) fn replays(&self) -> Vec<StoreOperation> {
        let fields =
            [self.opened.then_some(HeadField::Opened), self.logged_in.map(HeadField::LoggedIn)];
        let fields: Vec<_> = fields.into_iter().flatten().collect();
        let dispatched: Vec<_> = self.dispatched.values().cloned().collect();
        let admit = (!dispatched.is_empty()).then_some(StoreOperation::Admit(dispatched));
        admit
            .into_iter()
            .chain((!fields.is_empty()).then_some(StoreOperation::SetHead(fields)))
            .collect()
    }
}
