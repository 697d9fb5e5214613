//! No answer is read more strictly than TDLib writes it: any object may be null or of an unknown type.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use tdlib::methods::{
    AddProxy, CanSendMessageToUser, CheckAuthenticationCode, CheckAuthenticationPassword, Close,
    ConfirmSession, DisconnectAllWebsites, DisconnectWebsite, GetActiveSessions,
    GetApplicationConfig, GetArchiveChatListSettings, GetAuthorizationState,
    GetBlockedMessageSenders, GetChat, GetCloseFriends, GetConnectedWebsites, GetContacts, GetMe,
    GetNewChatPrivacySettings, GetOption, GetReadDatePrivacySettings, GetUser,
    GetUserPrivacySettingRules, LogOut, Method, ResendAuthenticationCode,
    SetArchiveChatListSettings, SetAuthenticationPhoneNumber, SetCloseFriends,
    SetInactiveSessionTtl, SetMessageSenderBlockList, SetNewChatPrivacySettings, SetOption,
    SetReadDatePrivacySettings, SetTdlibParameters, SetUserPrivacySettingRules,
    TerminateAllOtherSessions, TerminateSession, TestSquareInt, ToggleSessionCanAcceptCalls,
    ToggleSessionCanAcceptSecretChats,
};
use testkit::TdApi;

/// Reads every form of a method's answer; returns how many there are.
fn read_answers<M: Method>(api: &TdApi) -> usize {
    let objects = api.objects(api.answer_of(M::NAME));
    for object in &objects {
        let read = serde_json::from_str::<M::Answer>(&object.to_string());
        assert!(read.is_ok(), "{} cannot read {object}: {}", M::NAME, read.err().unwrap());
    }
    objects.len()
}

/// Declares the table of all methods.
macro_rules! methods {
    ($($method:ty),* $(,)?) => { &[$(read_answers::<$method>),*] };
}

const METHODS: &[fn(&TdApi) -> usize] = methods![
    AddProxy,
    CanSendMessageToUser,
    CheckAuthenticationCode<'_>,
    CheckAuthenticationPassword<'_>,
    Close,
    ConfirmSession,
    DisconnectAllWebsites,
    DisconnectWebsite,
    GetActiveSessions,
    GetApplicationConfig,
    GetArchiveChatListSettings,
    GetAuthorizationState,
    GetBlockedMessageSenders,
    GetChat,
    GetCloseFriends,
    GetConnectedWebsites,
    GetContacts,
    GetMe,
    GetNewChatPrivacySettings,
    GetOption<'_>,
    GetReadDatePrivacySettings,
    GetUser,
    GetUserPrivacySettingRules,
    LogOut,
    ResendAuthenticationCode,
    SetArchiveChatListSettings,
    SetAuthenticationPhoneNumber<'_>,
    SetCloseFriends<'_>,
    SetInactiveSessionTtl,
    SetMessageSenderBlockList,
    SetNewChatPrivacySettings,
    SetOption<'_>,
    SetReadDatePrivacySettings,
    SetTdlibParameters<'_>,
    SetUserPrivacySettingRules,
    TerminateAllOtherSessions,
    TerminateSession,
    TestSquareInt,
    ToggleSessionCanAcceptCalls,
    ToggleSessionCanAcceptSecretChats,
];

#[test]
fn every_answer_is_read_with_nulls_and_unknown_types_in_it() {
    let api = TdApi::load();
    let read: usize = METHODS.iter().map(|read| read(&api)).sum();
    assert!(read > 100, "only {read} objects");
}

#[test]
fn no_method_is_left_out() {
    let sources = [
        include_str!("../src/methods/account.rs"),
        include_str!("../src/methods/contacts.rs"),
        include_str!("../src/methods/login.rs"),
        include_str!("../src/methods/privacy.rs"),
        include_str!("../src/methods/sessions.rs"),
    ];
    let declared = sources.iter().map(|source| source.matches("\nmethod!(").count());
    assert_eq!(METHODS.len(), declared.sum::<usize>());
}
