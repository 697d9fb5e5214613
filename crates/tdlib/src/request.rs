use std::ffi::CString;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::CallError;
use crate::raw_params::{ParamsFault, RawParams};

/// Encodes a request in one pass: type and number first, then the fields of the method.
///
/// `fields` must serialise to an object, or to nothing (`null`, a unit struct).
pub(crate) fn encode<F>(method: &str, extra: u64, fields: &F) -> Result<CString, CallError>
where
    F: Serialize + ?Sized,
{
    let mut request = format!("{{\"@type\":\"{method}\",\"@extra\":{extra}").into_bytes();
    let start = request.len();
    serde_json::to_writer(&mut request, fields)
        .map_err(|_| CallError::Encode { reason: "its fields cannot be serialised" })?;
    let empty = match &request[start..] {
        b"null" => true,
        [b'{', fields @ ..] => fields.trim_ascii_start() == b"}",
        _ => return Err(CallError::Encode { reason: "its fields are not an object" }),
    };
    if empty {
        request.truncate(start);
        request.push(b'}');
    } else {
        // The opening brace of the fields becomes the comma after `@extra`.
        request[start] = b',';
    }
    CString::new(request).map_err(|_| CallError::Encode { reason: "it holds a NUL byte" })
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
        Ok(encode(method, 7, &params)?.into_string().unwrap())
    }

    #[test]
    fn fields_follow_type_and_number() {
        let request = encode("testSquareInt", 7, &Square { x: 3 }).unwrap();
        assert_eq!(request.to_str(), Ok(r#"{"@type":"testSquareInt","@extra":7,"x":3}"#));
    }

    #[test]
    fn a_method_without_fields_is_still_an_object() {
        let request = encode("getMe", 7, &Unit).unwrap();
        assert_eq!(request.to_str(), Ok(r#"{"@type":"getMe","@extra":7}"#));
    }

    #[test]
    fn fields_that_are_not_an_object_are_refused() {
        assert!(matches!(encode("getMe", 7, &[1]), Err(CallError::Encode { .. })));
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
