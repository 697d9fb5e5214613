//! The default accounts: account `n`, its contacts and its groups.

use std::collections::BTreeMap;

use super::{
    Account, ChannelHistory, Chat, ChatId, ChatKind, Contact, DeviceInfo, LoginSession,
    MessageDraft, Peer, SERVICE_USER, UserId, UserProfile, Website, World, deliver, digits,
};

/// User id of account `n`, minus `n`.
const ACCOUNT_IDS: i64 = 1_000_000;
/// User id of the first contact of account 0; each account has a block of ten ids.
const CONTACT_IDS: i64 = 20_000_000;
/// Id of account 0's basic group.
const GROUP_IDS: i64 = 500_000;
/// Id of account 0's supergroup.
const SUPERGROUP_IDS: i64 = 1_500_000_000;
/// The bot through which the default accounts are logged in to a website.
const SITE_BOT: UserId = UserId(90_000_001);
/// Age of the accounts' other session at the start of the sandbox, in seconds.
const SESSION_AGE: i32 = 30 * 86_400;

/// The contacts of each account, by their number in its block, and a user who is no contact.
const CONTACTS: [(i64, &str); 3] = [(1, "Anna"), (2, "Boris"), (3, "Clara")];
const STRANGER: (i64, &str) = (4, "Stranger");

/// The user of default account `number`.
pub(crate) fn default_user(number: u32) -> UserId {
    UserId(ACCOUNT_IDS + i64::from(number))
}

/// The number of a default account's user; `None` for other users.
pub(crate) fn default_number(user: UserId) -> Option<u32> {
    u32::try_from(user.0 - ACCOUNT_IDS).ok().filter(|number| 0 < *number)
}

/// The phone number of default account `number`, such as `+15550000001`.
pub(crate) fn default_phone(number: u32) -> String {
    format!("+1555{number:07}")
}

/// The login code of default account `number`: 12345 for the first, then counting up.
pub(crate) fn default_code(number: u32) -> String {
    format!("{:05}", (12_344 + u64::from(number)) % 100_000)
}

/// A world with `count` default accounts, numbered from 1.
pub(crate) fn default_world(count: u32, now: i32) -> World {
    let mut world = World::default();
    world.add_user(UserProfile::new(SERVICE_USER, "Telegram", ""));
    (1..=count).for_each(|number| add_default_account(&mut world, number, now));
    world
}

/// Adds default account `number`, its contacts and its groups.
fn add_default_account(world: &mut World, number: u32, now: i32) {
    let user = default_user(number);
    let mut owner = UserProfile::new(user, "Account", &number.to_string());
    owner.phone = digits(&default_phone(number));
    owner.username = Some(format!("account_{number}"));
    world.add_user(owner);
    let known = CONTACTS.iter().chain([&STRANGER]).map(|(place, name)| {
        let mut person = UserProfile::new(person(number, *place), name, &format!("of {number}"));
        person.username = Some(format!("{}_{number}", name.to_lowercase()));
        person
    });
    known.for_each(|person| world.add_user(person));
    if world.user(SITE_BOT).is_none() {
        let mut bot = UserProfile::new(SITE_BOT, "Site Login", "");
        (bot.bot, bot.username) = (true, Some("site_login_bot".to_owned()));
        world.add_user(bot);
    }
    world.add_account(account(number, now));
    add_groups(world, number, now);
    add_messages(world, number, now);
}

fn add_groups(world: &mut World, number: u32, now: i32) {
    let (user, created) = (default_user(number), now - SESSION_AGE);
    let members = [user, person(number, 1), person(number, 2), person(number, STRANGER.0)];
    let members: BTreeMap<UserId, i32> = members.map(|member| (member, created)).into();
    let basic = Chat {
        id: ChatId(GROUP_IDS + i64::from(number)),
        kind: ChatKind::Basic,
        title: format!("Group {number}"),
        username: None,
        created,
        creator: user,
        members: members.clone(),
    };
    let supergroup = Chat {
        id: ChatId(SUPERGROUP_IDS + i64::from(number)),
        kind: ChatKind::Super(ChannelHistory::default()),
        title: format!("Supergroup {number}"),
        ..basic.clone()
    };
    world.add_chat(basic);
    world.add_chat(supergroup);
}

fn add_messages(world: &mut World, number: u32, now: i32) {
    let (user, contact) = (default_user(number), person(number, 1));
    let number = i64::from(number);
    let first = [
        (user, Peer::User(user), "A note to myself"),
        (contact, Peer::User(user), "Hello from a contact"),
        (contact, Peer::Group(ChatId(GROUP_IDS + number)), "Hello from the group"),
        (contact, Peer::Channel(ChatId(SUPERGROUP_IDS + number)), "Hello from the supergroup"),
    ];
    for (from, to, text) in first {
        let draft =
            MessageDraft { from, to, text: text.to_owned(), random_id: 0, date: now - SESSION_AGE };
        deliver(world, &draft);
    }
}

fn person(number: u32, place: i64) -> UserId {
    UserId(CONTACT_IDS + 10 * i64::from(number) + place)
}

/// The account itself, with one session that no client holds.
fn account(number: u32, now: i32) -> Account {
    let mut account = Account::new(default_user(number), default_code(number));
    account.sessions.push(LoginSession::new(None, old_phone(), now - SESSION_AGE));
    account.contacts = CONTACTS
        .map(|(place, _)| (person(number, place), Contact { mutual: true, close_friend: false }))
        .into();
    account.websites.push(Website {
        hash: 7_000_000_000_000 + i64::from(number),
        bot: SITE_BOT,
        domain: "site.example".to_owned(),
        browser: "Firefox".to_owned(),
        platform: "Linux".to_owned(),
        created: now - SESSION_AGE,
        active: now - SESSION_AGE,
        ip: "203.0.113.8".to_owned(),
        region: "Reykjavik, Iceland".to_owned(),
    });
    account
}

/// The device of a session that no client holds.
pub(super) fn old_phone() -> DeviceInfo {
    DeviceInfo {
        model: "Old Phone".to_owned(),
        platform: "Android".to_owned(),
        system_version: "SDK 34".to_owned(),
        api_id: 6,
        app_name: "Telegram Android".to_owned(),
        app_version: "11.4.2".to_owned(),
        ip: "203.0.113.7".to_owned(),
        country: "Iceland".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_code_is_12345_and_the_others_differ() {
        assert_eq!(default_code(1), "12345");
        assert_eq!(default_code(2), "12346");
        assert_eq!(default_phone(1), "+15550000001");
    }

    #[test]
    fn two_accounts_have_different_contacts() {
        let mut world = World::default();
        add_default_account(&mut world, 1, SESSION_AGE);
        add_default_account(&mut world, 2, SESSION_AGE);
        let contacts = |n| &world.account(default_user(n)).unwrap().contacts;
        assert!(contacts(1).keys().all(|user| !contacts(2).contains_key(user)));
        assert_eq!(world.chats_of(default_user(1)).count(), 2);
    }
}
