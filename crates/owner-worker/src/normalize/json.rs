//! Reading and writing JSON text; `None` where it has another shape.

use serde::{Deserialize, Serialize};

pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str(json).ok()
}

pub(super) fn to_json(wire: &impl Serialize) -> Option<String> {
    serde_json::to_string(wire).ok()
}
