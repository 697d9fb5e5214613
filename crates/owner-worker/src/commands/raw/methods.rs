//! What tdfleet must know of TDLib's methods to call them by name. Source: TDLib 1.8.61, `td_api.tl`.

use super::super::command::{Traffic, TrafficClass};

/// Methods that no setting allows: the account's owner calls them itself, or they would work against
/// it. They close or open a client, change how it connects, make TDLib log secrets, or read and
/// write files.
const OWNERS_METHODS: [&str; 25] = [
    "addProxy",
    "close",
    "deleteAccount",
    "destroy",
    "disableProxy",
    "editProxy",
    "enableProxy",
    "finishFileGeneration",
    "getLanguagePackString",
    "getLogStream",
    "getProxies",
    "getSuggestedFileName",
    "logOut",
    "pingProxy",
    "removeProxy",
    "setDatabaseEncryptionKey",
    "setFileGenerationProgress",
    "setLogStream",
    "setLogTagVerbosityLevel",
    "setLogVerbosityLevel",
    "setNetworkType",
    "setOption",
    "setTdlibParameters",
    "testProxy",
    "writeGeneratedFilePart",
];

/// Methods that TDLib answers without Telegram.
const LOCAL_METHODS: [&str; 28] = [
    "addLogMessage",
    "cleanFileName",
    "getAuthorizationState",
    "getChatFolderDefaultIconName",
    "getCountryFlagEmoji",
    "getCurrentState",
    "getFileExtension",
    "getFileMimeType",
    "getJsonString",
    "getJsonValue",
    "getLogTags",
    "getLogTagVerbosityLevel",
    "getLogVerbosityLevel",
    "getMarkdownText",
    "getOption",
    "getTextEntities",
    "getThemeParametersJsonString",
    "parseMarkdown",
    "parseTextEntities",
    "searchQuote",
    "searchStringsByPrefix",
    "testCallBytes",
    "testCallEmpty",
    "testCallString",
    "testCallVectorInt",
    "testReturnError",
    "testSquareInt",
    "testUseUpdate",
];

/// Whether only the account's owner may call a method.
pub(super) fn is_owners(method: &str) -> bool {
    OWNERS_METHODS.contains(&method)
}

/// What a method sends to Telegram; `None` if nothing.
pub(super) fn traffic_of(method: &str) -> Option<Traffic> {
    let begins = |words: &[&str]| words.iter().any(|word| method.starts_with(word));
    let class = if LOCAL_METHODS.contains(&method) {
        return None;
    } else if begins(&["send", "forward", "resend"]) {
        TrafficClass::Sends
    } else if begins(&["can", "check", "count", "get", "is", "load", "search", "test"]) {
        TrafficClass::Reads
    } else {
        TrafficClass::Writes
    };
    Some(Traffic { class, calls: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_hold_methods_of_tdlib() {
        let api = testkit::TdApi::load();
        for method in OWNERS_METHODS.iter().chain(&LOCAL_METHODS) {
            assert!(api.methods().iter().any(|known| known.name == *method), "{method}");
        }
    }

    #[test]
    fn a_method_is_paced_by_what_it_does() {
        let class = |method| traffic_of(method).map(|traffic| traffic.class);
        assert_eq!(class("testSquareInt"), None);
        assert_eq!(class("getMe"), Some(TrafficClass::Reads));
        assert_eq!(class("testNetwork"), Some(TrafficClass::Reads));
        assert_eq!(class("sendMessage"), Some(TrafficClass::Sends));
        assert_eq!(class("forwardMessages"), Some(TrafficClass::Sends));
        assert_eq!(class("setBio"), Some(TrafficClass::Writes));
        assert_eq!(class("fromTheFuture"), Some(TrafficClass::Writes));
    }
}
