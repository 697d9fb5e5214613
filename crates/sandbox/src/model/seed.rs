//! Additional accounts and users, from a TOML file.
//!
//! Users are referenced by their username: those that the file adds, and those of the default
//! accounts (`account_1`, `anna_1`, `boris_1`, `clara_1`, `stranger_1`). `examples/seed.toml` has
//! every field.

mod format;

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{
    Account, BlockList, ChannelHistory, Chat, ChatId, ChatKind, Contact, ContactRequirement,
    MessageDraft, Peer, PrivacyRule, SrpPassword, UserId, UserProfile, World, default_code,
    default_phone, default_user, deliver, digits,
};

pub(crate) use format::SeedFile;
use format::{AccountSeed, GroupSeed, TargetSeed, UserSeed};

/// Why a seed file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file could not be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file does not have this format.
    #[error("{} is not a valid seed file", .0.display())]
    Format(PathBuf, #[source] toml::de::Error),
    /// No user has this username.
    #[error("no user has the username `{0}`")]
    UnknownUser(String),
    /// No group of the file has this title.
    #[error("no group has the title `{0}`")]
    UnknownGroup(String),
    /// The username is already taken.
    #[error("the username `{0}` is already taken")]
    Taken(String),
    /// Accounts are numbered from 1.
    #[error("an account number must not be 0")]
    Zero,
}

/// Id of the first group that a file adds.
const GROUPS: i64 = 900_000;
/// Id of the first supergroup that a file adds.
const SUPERGROUPS: i64 = 1_900_000_000;

/// Reads a seed file.
pub(crate) fn read_seed(path: &Path) -> Result<SeedFile, SeedError> {
    let text = fs::read_to_string(path).map_err(|e| SeedError::Read(path.to_owned(), e))?;
    toml::from_str(&text).map_err(|error| SeedError::Format(path.to_owned(), error))
}

/// Adds the content of the file to `world`.
pub(crate) fn apply_seed(seed: SeedFile, world: &mut World, now: i32) -> Result<(), SeedError> {
    for person in seed.person {
        add_user(world, person)?;
    }
    // All users must exist before groups and contacts refer to them.
    for account in &seed.account {
        add_account(world, account, now)?;
    }
    for (place, group) in (0..).zip(seed.group) {
        add_group(world, group, place, now)?;
    }
    for account in seed.account {
        set_up_account(world, account, now)?;
    }
    for message in seed.message {
        let from = user(world, &message.from)?;
        let to = match &message.to {
            TargetSeed::User(username) => Peer::User(user(world, username)?),
            TargetSeed::Group(title) => group(world, title)?.peer(),
        };
        deliver(world, &MessageDraft { from, to, text: message.text, random_id: 0, date: now });
    }
    Ok(())
}

fn add_user(world: &mut World, seed: UserSeed) -> Result<(), SeedError> {
    let id = world.next_user();
    claim(world, &seed.username, id)?;
    let mut person = UserProfile::new(id, &seed.first_name, &seed.last_name);
    person.username = Some(seed.username);
    person.about = seed.about;
    (person.bot, person.premium, person.deleted) = (seed.bot, seed.premium, seed.deleted);
    person.reach = seed.strangers_need;
    world.add_user(person);
    Ok(())
}

/// Adds the account and its user, so that others can refer to it.
fn add_account(world: &mut World, seed: &AccountSeed, now: i32) -> Result<(), SeedError> {
    if seed.number == 0 {
        return Err(SeedError::Zero);
    }
    let id = default_user(seed.number);
    let mut person = world.user(id).cloned().unwrap_or_else(|| {
        let mut person = UserProfile::new(id, "Account", &seed.number.to_string());
        person.phone = digits(&default_phone(seed.number));
        person.username = Some(format!("account_{}", seed.number));
        person
    });
    if let Some(username) = &seed.username {
        claim(world, username, id)?;
        person.username = Some(username.clone());
    }
    let set = |field: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            field.clone_from(value);
        }
    };
    set(&mut person.first_name, &seed.first_name);
    set(&mut person.last_name, &seed.last_name);
    set(&mut person.about, &seed.about);
    person.premium = seed.premium.unwrap_or(person.premium);
    world.add_user(person);
    if world.account(id).is_none() {
        world.add_account(Account::new(id, default_code(seed.number)));
    }
    if let Some(account) = world.account_mut(id)
        && account.sessions.is_empty()
    {
        account.add_session(None, super::default_accounts::old_phone(), now);
    }
    Ok(())
}

/// Applies the settings of the file to the account.
fn set_up_account(world: &mut World, seed: AccountSeed, now: i32) -> Result<(), SeedError> {
    let contacts = seed.contacts.map(|contacts| users(world, &contacts)).transpose()?;
    let close_friends = users(world, &seed.close_friends)?;
    let lists = [
        (BlockList::Main, users(world, &seed.blocked)?),
        (BlockList::Stories, users(world, &seed.blocked_from_stories)?),
    ];
    let mut rules = Vec::new();
    for (key, rule_seeds) in seed.privacy {
        let of_key: Result<_, _> =
            rule_seeds.iter().map(|rule| privacy_rule(world, rule)).collect();
        rules.push((key, of_key?));
    }
    let password = seed.password.map(|password| SrpPassword::new(&password, &seed.password_hint));
    let Some(account) = world.account_mut(default_user(seed.number)) else { return Ok(()) };
    account.code = seed.code.unwrap_or_else(|| account.code.clone());
    account.password = password;
    if let Some(contacts) = contacts {
        let contact = |id| (id, Contact { mutual: true, close_friend: false });
        account.contacts = contacts.into_iter().map(contact).collect();
    }
    for friend in close_friends {
        account.contacts.entry(friend).or_default().close_friend = true;
    }
    for (list, blocked) in lists {
        // Reversed, so that the list has the order of the file.
        for user in blocked.into_iter().rev() {
            account.blocks.block(list, Peer::User(user), now);
        }
    }
    match seed.strangers_need {
        ContactRequirement::Anyone => {}
        ContactRequirement::Premium => account.global_privacy.new_chats_require_premium = true,
        ContactRequirement::Paid(stars) => account.global_privacy.message_price = stars,
    }
    for (key, rules) in rules {
        account.privacy.set(key, rules);
    }
    Ok(())
}

fn add_group(world: &mut World, seed: GroupSeed, place: i64, now: i32) -> Result<(), SeedError> {
    let creator = user(world, &seed.creator)?;
    let members = users(world, &seed.members)?.into_iter().chain([creator]);
    let (id, kind) = if seed.supergroup {
        (SUPERGROUPS + place, ChatKind::Super(ChannelHistory::default()))
    } else {
        (GROUPS + place, ChatKind::Basic)
    };
    if let Some(username) = &seed.username
        && world.by_username(username).is_some()
    {
        return Err(SeedError::Taken(username.clone()));
    }
    world.add_chat(Chat {
        id: ChatId(id),
        kind,
        title: seed.title,
        username: seed.username,
        created: now,
        creator,
        members: members.map(|member| (member, now)).collect(),
    });
    Ok(())
}

fn privacy_rule(
    world: &World,
    rule: &PrivacyRule<String, String>,
) -> Result<PrivacyRule, SeedError> {
    let groups = |titles: &[String]| {
        titles.iter().map(|title| Ok(group(world, title)?.id)).collect::<Result<Vec<_>, _>>()
    };
    rule.try_map(|usernames| users(world, usernames), groups)
}

/// Refuses a username that is already taken.
fn claim(world: &World, username: &str, id: UserId) -> Result<(), SeedError> {
    match world.by_username(username) {
        Some(owner) if owner != Peer::User(id) => Err(SeedError::Taken(username.to_owned())),
        _ => Ok(()),
    }
}

fn user(world: &World, username: &str) -> Result<UserId, SeedError> {
    let found = world.by_username(username).and_then(Peer::user);
    found.ok_or_else(|| SeedError::UnknownUser(username.to_owned()))
}

fn users(world: &World, usernames: &[String]) -> Result<Vec<UserId>, SeedError> {
    usernames.iter().map(|username| user(world, username)).collect()
}

fn group<'a>(world: &'a World, title: &str) -> Result<&'a Chat, SeedError> {
    world.chat_titled(title).ok_or_else(|| SeedError::UnknownGroup(title.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::{PrivacyKey, default_world};
    use super::*;

    fn planted(text: &str) -> Result<World, SeedError> {
        let mut world = default_world(1, 0);
        apply_seed(toml::from_str::<SeedFile>(text).unwrap(), &mut world, 0)?;
        Ok(world)
    }

    #[test]
    fn the_example_is_valid() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/seed.toml");
        let mut world = default_world(1, 0);
        apply_seed(read_seed(&path).unwrap(), &mut world, 0).unwrap();
        let account = world.account(default_user(7)).unwrap();
        let dora = user(&world, "dora").unwrap();
        assert!(account.contacts[&dora].close_friend);
        assert!(account.password.is_some());
        assert_eq!(
            account.blocks.list(BlockList::Main)[0].0,
            Peer::User(user(&world, "eve").unwrap())
        );
        assert_eq!(account.privacy.rules(PrivacyKey::PhoneP2P), [PrivacyRule::RestrictAll]);
        assert_eq!(account.mailbox.dialogs.len(), 2);
        assert_eq!(world.reach(default_user(7)), ContactRequirement::Paid(5));
    }

    #[test]
    fn a_default_account_keeps_what_the_file_does_not_set() {
        let world = planted("[[account]]\nnumber = 1\nfirst_name = \"Zoe\"").unwrap();
        let account = world.account(default_user(1)).unwrap();
        assert_eq!(world.user(default_user(1)).unwrap().first_name, "Zoe");
        assert_eq!((account.contacts.len(), account.sessions.len()), (3, 1));
    }

    #[test]
    fn unknown_and_taken_names_are_refused() {
        let unknown = planted("[[account]]\nnumber = 1\nblocked = [\"nobody\"]");
        assert!(matches!(unknown, Err(SeedError::UnknownUser(name)) if name == "nobody"));
        let taken = planted("[[person]]\nusername = \"account_1\"\nfirst_name = \"X\"");
        assert!(matches!(taken, Err(SeedError::Taken(name)) if name == "account_1"));
        assert!(matches!(planted("[[account]]\nnumber = 0"), Err(SeedError::Zero)));
    }
}
