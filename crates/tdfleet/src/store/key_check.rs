//! Recognises a wrong master key before an account is opened with it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use rustix::rand::{GetRandomFlags, getrandom};
use settings::{ExposeSecret, SecretString, SettingFault, SettingFaults};
use sha2::Sha256;

/// The file in the store.
const NAME: &str = "master-key-check";

const LENGTH: usize = 16;

/// A random salt and a value derived with it from the master key.
///
/// It tells nothing of the keys that are derived for the accounts, and guessing with its help is no
/// faster than with the help of an account's database.
struct KeyCheck {
    salt: [u8; LENGTH],
    value: [u8; LENGTH],
}

impl KeyCheck {
    fn new(key: &SecretString) -> anyhow::Result<Self> {
        let mut salt = [0; LENGTH];
        getrandom(&mut salt, GetRandomFlags::empty()).context("no random numbers")?;
        Ok(Self { salt, value: derive(key, &salt) })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words =
            text.split_whitespace().map(|word| STANDARD.decode(word).ok()?.try_into().ok());
        Some(Self { salt: words.next()??, value: words.next()?? })
    }

    fn is_of(&self, key: &SecretString) -> bool {
        derive(key, &self.salt) == self.value
    }
}

fn derive(key: &SecretString, salt: &[u8]) -> [u8; LENGTH] {
    let mut value = [0; LENGTH];
    let derived = Hkdf::<Sha256>::new(Some(salt), key.expose_secret().as_bytes())
        .expand(b"tdfleet check of the master key", &mut value);
    debug_assert!(derived.is_ok(), "HKDF-SHA-256 derives up to 8160 bytes");
    value
}

/// Whether the store's accounts are encrypted with this master key; `None` for a store that has no
/// check value yet.
pub(crate) fn verify(data_dir: &Path, key: &SecretString) -> anyhow::Result<Option<bool>> {
    let path = data_dir.join(NAME);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("cannot read `{}`", path.display()))?,
    };
    let check = KeyCheck::parse(&text)
        .with_context(|| format!("`{}` is damaged: see docs/operations.md", path.display()))?;
    Ok(Some(check.is_of(key)))
}

/// Refuses a master key that is not the store's. The first one becomes the store's.
pub(crate) fn verify_or_create(data_dir: &Path, key: &SecretString) -> anyhow::Result<()> {
    let verified = match verify(data_dir, key)? {
        None => {
            create(data_dir, key)?;
            verify(data_dir, key)?
        }
        verified => verified,
    };
    if verified == Some(true) {
        return Ok(());
    }
    let path = data_dir.join(NAME);
    let problem = format!("is not the key of this store's accounts, by `{}`", path.display());
    let fault = SettingFault { setting: "telegram.master_key".to_owned(), problem };
    Err(SettingFaults::from(fault).into())
}

/// Several workers may start at once: each writes a file of its own and links it into place. One of
/// them wins, and none reads half a file.
fn create(data_dir: &Path, key: &SecretString) -> anyhow::Result<()> {
    let KeyCheck { salt, value } = KeyCheck::new(key)?;
    let text = format!("{} {}\n", STANDARD.encode(salt), STANDARD.encode(value));
    let draft = data_dir.join(format!("{NAME}.{}", std::process::id()));
    fs::create_dir_all(data_dir)
        .and_then(|()| write_and_link(&draft, &data_dir.join(NAME), &text))
        .with_context(|| format!("cannot write `{}`", data_dir.join(NAME).display()))
}

fn write_and_link(draft: &Path, path: &PathBuf, text: &str) -> io::Result<()> {
    let mut file = File::create(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(draft, path);
    fs::remove_file(draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_the_stores_and_another_is_refused() {
        let store = tempfile::tempdir().unwrap();
        let [key, other] =
            ["0123456789abcdef", "0123456789abcdeg"].map(|key| SecretString::from(key.to_owned()));
        let data_dir = store.path().join("data");
        assert_eq!(verify(&data_dir, &key).unwrap(), None);
        verify_or_create(&data_dir, &key).unwrap();
        verify_or_create(&data_dir, &key).unwrap();
        assert_eq!(verify(&data_dir, &key).unwrap(), Some(true));
        let refused = verify_or_create(&data_dir, &other).unwrap_err().to_string();
        assert!(refused.starts_with("telegram.master_key: is not the key of"), "{refused}");
        assert!(!refused.contains("0123456789"), "{refused}");
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn the_value_differs_from_store_to_store_and_a_damaged_one_is_refused() {
        let key = SecretString::from("0123456789abcdef".to_owned());
        let stores = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let texts = stores.each_ref().map(|store| {
            verify_or_create(store.path(), &key).unwrap();
            fs::read_to_string(store.path().join(NAME)).unwrap()
        });
        assert_ne!(texts[0].split(' ').nth(1), texts[1].split(' ').nth(1));
        fs::write(stores[0].path().join(NAME), "?").unwrap();
        assert!(verify_or_create(stores[0].path(), &key).is_err());
    }
}
