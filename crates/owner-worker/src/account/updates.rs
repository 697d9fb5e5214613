use jiff::Timestamp;
use tdlib::Update;

use super::login::Login;
use super::outbox::Outbox;
use crate::commands::Common as AccountContext;
use crate::updates::{Class, class_of, event_of, news_of};

/// Handles a batch of TDLib's updates: authorization states go to the login, all others are
/// published by their class.
pub(super) fn handle_updates(
    updates: &mut Vec<Update>,
    login: &mut Login,
    outbox: &mut Outbox,
    context: &AccountContext,
    at: Timestamp,
) {
    let account = context.log.token().account;
    for update in updates.drain(..) {
        match class_of(update.kind()) {
            _ if update.kind() == "updateAuthorizationState" => {
                login.on_authorization(update.json(), outbox);
            }
            Class::Internal => {}
            // Before the login there is nothing to publish.
            _ if login.state().is_logging_in() => {}
            Class::Passing => outbox.publish_transient(event_of(account, update, at)),
            Class::Durable => {
                if let Some(event) = news_of(account, update, at, &context.first_reads) {
                    outbox.publish(event);
                }
            }
        }
    }
}
