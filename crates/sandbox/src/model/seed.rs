//! Accounts and people of one's own, from a TOML file.
//!
//! Everyone is called by their username: those that the file adds, those of the default fleet
//! (`account_1`, and its people `anna_1`, `boris_1`, `clara_1`, `stranger_1`). The example in
//! `examples/seed.toml` has every field.

mod format;

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{
    Account, BlockList, ChannelBox, Chat, ChatId, ChatKind, Contact, Draft, Password, Peer, Person,
    PrivacyRule, Reach, UserId, World, digits, fleet_code, fleet_phone, fleet_user,
};

pub(crate) use format::Seed;
use format::{AccountSeed, GroupSeed, PersonSeed, RuleSeed, ToSeed};

/// Why a seed was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file could not be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file is not of this format.
    #[error("cannot understand {}", .0.display())]
    Format(PathBuf, #[source] toml::de::Error),
    /// Nobody has this username.
    #[error("nobody is called `{0}`")]
    UnknownUser(String),
    /// No group of the file has this title.
    #[error("no group is called `{0}`")]
    UnknownGroup(String),
    /// Somebody else has this username.
    #[error("two are called `{0}`")]
    Taken(String),
    /// Accounts are numbered from 1.
    #[error("an account cannot have the number 0")]
    Zero,
}

/// Number of the first group that a file adds.
const GROUPS: i64 = 900_000;
/// Number of the first supergroup that a file adds.
const SUPERGROUPS: i64 = 1_900_000_000;

impl Seed {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, SeedError> {
        let text = fs::read_to_string(path).map_err(|e| SeedError::Read(path.to_owned(), e))?;
        toml::from_str(&text).map_err(|error| SeedError::Format(path.to_owned(), error))
    }

    /// Puts everything of the file into `world`.
    pub(crate) fn plant(self, world: &mut World, now: i32) -> Result<(), SeedError> {
        for person in self.person {
            person.plant(world)?;
        }
        // All are there before any is spoken of.
        for account in &self.account {
            account.introduce(world, now)?;
        }
        for (place, group) in (0..).zip(self.group) {
            group.plant(world, place, now)?;
        }
        for account in self.account {
            account.plant(world, now)?;
        }
        for message in self.message {
            let from = user(world, &message.from)?;
            let to = match &message.to {
                ToSeed::User(username) => Peer::User(user(world, username)?),
                ToSeed::Group(title) => group(world, title)?.peer(),
            };
            world.deliver(&Draft { from, to, text: message.text, random_id: 0, date: now });
        }
        Ok(())
    }
}

impl PersonSeed {
    fn plant(self, world: &mut World) -> Result<(), SeedError> {
        let id = world.next_user();
        claim(world, &self.username, id)?;
        let mut person = Person::new(id, &self.first_name, &self.last_name);
        person.username = Some(self.username);
        person.about = self.about;
        (person.bot, person.premium, person.deleted) = (self.bot, self.premium, self.deleted);
        person.reach = self.strangers_need;
        world.add_person(person);
        Ok(())
    }
}

impl AccountSeed {
    /// Makes the account and its user known, under its name.
    fn introduce(&self, world: &mut World, now: i32) -> Result<(), SeedError> {
        if self.number == 0 {
            return Err(SeedError::Zero);
        }
        let id = fleet_user(self.number);
        let mut person = world.person(id).cloned().unwrap_or_else(|| {
            let mut person = Person::new(id, "Account", &self.number.to_string());
            person.phone = digits(&fleet_phone(self.number));
            person.username = Some(format!("account_{}", self.number));
            person
        });
        if let Some(username) = &self.username {
            claim(world, username, id)?;
            person.username = Some(username.clone());
        }
        let set = |field: &mut String, value: &Option<String>| {
            if let Some(value) = value {
                field.clone_from(value);
            }
        };
        set(&mut person.first_name, &self.first_name);
        set(&mut person.last_name, &self.last_name);
        set(&mut person.about, &self.about);
        person.premium = self.premium.unwrap_or(person.premium);
        world.add_person(person);
        if world.account(id).is_none() {
            world.add_account(Account::new(id, fleet_code(self.number)));
        }
        if let Some(account) = world.account_mut(id)
            && account.sessions.is_empty()
        {
            account.add_session(None, super::fleet::old_phone(), now);
        }
        Ok(())
    }

    /// Gives the account what the file says of it.
    fn plant(self, world: &mut World, now: i32) -> Result<(), SeedError> {
        let contacts = self.contacts.map(|contacts| users(world, &contacts)).transpose()?;
        let close_friends = users(world, &self.close_friends)?;
        let lists = [
            (BlockList::Main, users(world, &self.blocked)?),
            (BlockList::Stories, users(world, &self.blocked_from_stories)?),
        ];
        let mut rules = Vec::new();
        for (key, seeds) in self.privacy {
            let of_key: Result<_, _> = seeds.iter().map(|seed| seed.rule(world)).collect();
            rules.push((key, of_key?));
        }
        let password = self.password.map(|password| Password::new(&password, &self.password_hint));
        let Some(account) = world.account_mut(fleet_user(self.number)) else { return Ok(()) };
        account.code = self.code.unwrap_or_else(|| account.code.clone());
        account.password = password;
        if let Some(contacts) = contacts {
            let contact = |id| (id, Contact { mutual: true, close_friend: false });
            account.contacts = contacts.into_iter().map(contact).collect();
        }
        for friend in close_friends {
            account.contacts.entry(friend).or_default().close_friend = true;
        }
        for (list, blocked) in lists {
            // The first of the file comes first in the list.
            for user in blocked.into_iter().rev() {
                account.blocks.block(list, Peer::User(user), now);
            }
        }
        match self.strangers_need {
            Reach::Anyone => {}
            Reach::Premium => account.global_privacy.new_chats_require_premium = true,
            Reach::Paid(stars) => account.global_privacy.message_price = stars,
        }
        for (key, rules) in rules {
            account.privacy.set(key, rules);
        }
        Ok(())
    }
}

impl GroupSeed {
    fn plant(self, world: &mut World, place: i64, now: i32) -> Result<(), SeedError> {
        let creator = user(world, &self.creator)?;
        let members = users(world, &self.members)?.into_iter().chain([creator]);
        let (id, kind) = if self.supergroup {
            (SUPERGROUPS + place, ChatKind::Super(ChannelBox::default()))
        } else {
            (GROUPS + place, ChatKind::Basic)
        };
        if let Some(username) = &self.username
            && world.by_username(username).is_some()
        {
            return Err(SeedError::Taken(username.clone()));
        }
        world.add_chat(Chat {
            id: ChatId(id),
            kind,
            title: self.title,
            username: self.username,
            created: now,
            creator,
            members: members.map(|member| (member, now)).collect(),
        });
        Ok(())
    }
}

impl RuleSeed {
    fn rule(&self, world: &World) -> Result<PrivacyRule, SeedError> {
        let groups = |titles: &[String]| -> Result<Vec<ChatId>, SeedError> {
            titles.iter().map(|title| Ok(group(world, title)?.id)).collect()
        };
        Ok(match self {
            Self::AllowAll => PrivacyRule::AllowAll,
            Self::AllowContacts => PrivacyRule::AllowContacts,
            Self::AllowPremium => PrivacyRule::AllowPremium,
            Self::AllowBots => PrivacyRule::AllowBots,
            Self::AllowUsers(names) => PrivacyRule::AllowUsers(users(world, names)?),
            Self::AllowGroups(titles) => PrivacyRule::AllowChats(groups(titles)?),
            Self::RestrictAll => PrivacyRule::RestrictAll,
            Self::RestrictContacts => PrivacyRule::RestrictContacts,
            Self::RestrictBots => PrivacyRule::RestrictBots,
            Self::RestrictUsers(names) => PrivacyRule::RestrictUsers(users(world, names)?),
            Self::RestrictGroups(titles) => PrivacyRule::RestrictChats(groups(titles)?),
        })
    }
}

/// Refuses a username that somebody else has.
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
    let found = world.chats.values().find(|chat| chat.title == title);
    found.ok_or_else(|| SeedError::UnknownGroup(title.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::PrivacyKey;
    use super::*;

    fn planted(text: &str) -> Result<World, SeedError> {
        let mut world = World::with_accounts(1, 0);
        toml::from_str::<Seed>(text).unwrap().plant(&mut world, 0)?;
        Ok(world)
    }

    #[test]
    fn the_example_is_understood() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/seed.toml");
        let mut world = World::with_accounts(1, 0);
        Seed::read(&path).unwrap().plant(&mut world, 0).unwrap();
        let account = world.account(fleet_user(7)).unwrap();
        let dora = user(&world, "dora").unwrap();
        assert!(account.contacts[&dora].close_friend);
        assert!(account.password.is_some());
        assert_eq!(
            account.blocks.list(BlockList::Main)[0].0,
            Peer::User(user(&world, "eve").unwrap())
        );
        assert_eq!(account.privacy.rules(PrivacyKey::PhoneP2P), [PrivacyRule::RestrictAll]);
        assert_eq!(account.mailbox.dialogs.len(), 2);
        assert_eq!(world.reach(fleet_user(7)), Reach::Paid(5));
    }

    #[test]
    fn an_account_of_the_fleet_keeps_what_the_file_does_not_say() {
        let world = planted("[[account]]\nnumber = 1\nfirst_name = \"Zoe\"").unwrap();
        let account = world.account(fleet_user(1)).unwrap();
        assert_eq!(world.person(fleet_user(1)).unwrap().first_name, "Zoe");
        assert_eq!((account.contacts.len(), account.sessions.len()), (3, 1));
    }

    #[test]
    fn names_that_are_not_there_or_taken_are_refused() {
        let unknown = planted("[[account]]\nnumber = 1\nblocked = [\"nobody\"]");
        assert!(matches!(unknown, Err(SeedError::UnknownUser(name)) if name == "nobody"));
        let taken = planted("[[person]]\nusername = \"account_1\"\nfirst_name = \"X\"");
        assert!(matches!(taken, Err(SeedError::Taken(name)) if name == "account_1"));
        assert!(matches!(planted("[[account]]\nnumber = 0"), Err(SeedError::Zero)));
    }
}
