use grammers_tl_types::{enums, functions, types};

use super::{Ctx, Entry, Handle, RpcError};

pub(super) const METHODS: &[Entry] = &[
    Entry::of::<functions::updates::GetDifference>(),
    Entry::of::<functions::updates::GetState>(),
];

impl Handle for functions::updates::GetState {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let state =
            types::updates::State { pts: 1, qts: 1, date: ctx.now, seq: 1, unread_count: 0 };
        Ok(enums::updates::State::State(state))
    }
}

impl Handle for functions::updates::GetDifference {
    fn handle(self, ctx: &mut Ctx<'_>) -> Result<Self::Return, RpcError> {
        let empty = types::updates::DifferenceEmpty { date: ctx.now, seq: 1 };
        Ok(enums::updates::Difference::Empty(empty))
    }
}
