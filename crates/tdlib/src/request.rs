use std::ffi::CStr;
use std::io;
use std::mem;

use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::CallError;
use crate::raw_params::{ParamsFault, RawParams};

/// An encoded request, overwritten when it is dropped: it may hold a code, a password or a key.
pub(crate) struct RequestText(Zeroizing<Vec<u8>>);

/// Most requests fit into this many bytes.
const USUAL_LENGTH: usize = 512;

impl RequestText {
    fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(USUAL_LENGTH)))
    }

    /// Appends without leaving a copy behind in memory that a growing `Vec` has given up.
    fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if self.0.capacity() < needed {
            let larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
            let smaller = mem::replace(&mut self.0, larger);
            self.0.extend_from_slice(&smaller);
        }
        self.0.extend_from_slice(bytes);
    }

    /// The request for C.
    pub(crate) fn as_c_str(&self) -> Result<&CStr, CallError> {
        CStr::from_bytes_with_nul(&self.0)
            .map_err(|_| CallError::Encode { reason: "it holds a NUL byte" })
    }
}

impl io::Write for RequestText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Encodes a request in one pass: type and number first, then the fields of the method.
///
/// `fields` must serialise to an object, or to nothing (`null`, a unit struct).
pub(crate) fn encode<F>(method: &str, extra: u64, fields: &F) -> Result<RequestText, CallError>
where
    F: Serialize + ?Sized,
{
    let mut request = RequestText::new();
    request.push(format!("{{\"@type\":\"{method}\",\"@extra\":{extra}").as_bytes());
    let start = request.0.len();
    serde_json::to_writer(&mut request, fields)
        .map_err(|_| CallError::Encode { reason: "its fields cannot be serialised" })?;
    let empty = match &request.0[start..] {
        b"null" => true,
        [b'{', fields @ ..] => fields.trim_ascii_start() == b"}",
        _ => return Err(CallError::Encode { reason: "its fields are not an object" }),
    };
    if empty {
        request.0.truncate(start);
        request.push(b"}");
    } else {
        // The opening brace of the fields becomes the comma after `@extra`.
        request.0[start] = b',';
    }
    request.push(b"\0");
    Ok(request)
}

/// Checks a request whose method and fields come from a caller; see [`RawParams`].
pub(crate) fn check_raw(method: &str, params: &RawValue) -> Result<(), CallError> {
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(CallError::Encode { reason: "its method is not a TDLib name" });
    }
    RawParams::inspect(params).map(drop).map_err(|fault| CallError::Encode {
        reason: match fault {
            ParamsFault::NotAnObject => "its parameters are not an object",
            ParamsFault::ReservedName(_) => "a parameter's name begins with @",
            ParamsFault::TooDeep => "its parameters are nested too deeply",
            ParamsFault::TypeNotString | ParamsFault::Unreadable => {
                "its parameters hold what TDLib cannot read"
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct Square {
        x: i32,
    }

    fn raw(method: &str, params: &str) -> Result<String, CallError> {
        let params = RawValue::from_string(params.to_owned()).unwrap();
        check_raw(method, &params)?;
        Ok(encode(method, 7, &params)?.as_c_str()?.to_str().unwrap().to_owned())
    }

    #[test]
    fn fields_follow_type_and_number() {
        let request = encode("testSquareInt", 7, &Square { x: 3 }).unwrap();
        assert_eq!(
            request.as_c_str().unwrap().to_str(),
            Ok(r#"{"@type":"testSquareInt","@extra":7,"x":3}"#)
        );
    }

    #[test]
    fn a_method_without_fields_is_still_an_object() {
        let request = encode("getMe", 7, &Unit).unwrap();
        assert_eq!(request.as_c_str().unwrap().to_str(), Ok(r#"{"@type":"getMe","@extra":7}"#));
    }

    #[test]
    fn fields_that_are_not_an_object_are_refused() {
        assert!(matches!(encode("getMe", 7, &[1]), Err(CallError::Encode { .. })));
    }

    #[test]
    fn a_long_request_is_whole_and_a_nul_byte_is_refused() {
        let text = "x".repeat(5 * USUAL_LENGTH);
        let request = encode("getMe", 7, &serde_json::json!({ "x": text })).unwrap();
        let expected = format!(r#"{{"@type":"getMe","@extra":7,"x":"{text}"}}"#);
        assert_eq!(request.as_c_str().unwrap().to_str(), Ok(expected.as_str()));
        let raw = RawValue::from_string("{\"x\":1}".to_owned()).unwrap();
        assert!(encode("get\0Me", 7, &raw).unwrap().as_c_str().is_err());
    }

    #[test]
    fn raw_parameters_pass_unchanged() {
        let request = raw("getUser", r#" { "user_id": 5 } "#).unwrap();
        assert_eq!(request, r#"{"@type":"getUser","@extra":7, "user_id": 5 }"#);
        assert_eq!(raw("getMe", " { } ").unwrap(), r#"{"@type":"getMe","@extra":7}"#);
    }

    #[test]
    fn raw_parameters_cannot_name_another_method() {
        for params in [r#"{"@type":"logOut"}"#, r#"{"\u0040type":"logOut"}"#, r#"{"@extra":1}"#] {
            assert!(matches!(raw("getMe", params), Err(CallError::Encode { .. })), "{params}");
        }
        for method in ["", "get me", r#"getMe","x":""#] {
            assert!(matches!(raw(method, "{}"), Err(CallError::Encode { .. })), "{method}");
        }
        assert!(matches!(raw("getMe", "[]"), Err(CallError::Encode { .. })));
    }
}
