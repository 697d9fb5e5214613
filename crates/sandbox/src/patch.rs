//! The copy of libtdjson that trusts only this data centre's key.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use memchr::memmem;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Telegram's two keys as stored in the library: each occurs exactly once, between two NULs.
const KEYS: [&str; 2] = [
    "-----BEGIN RSA PUBLIC KEY-----\nMIIBCgKCAQEA6LszBcC1LGzyr992NzE0",
    "-----BEGIN RSA PUBLIC KEY-----\nMIIBCgKCAQEAyMEdY1aR+sCR3ZSJrtzt",
];
const KEY_END: &[u8] = b"-----END RSA PUBLIC KEY-----";

/// Where the library looks for data centres when its own do not answer, with or without a proxy.
///
/// They are replaced by loopback addresses, so that a client of a silent sandbox never goes
/// outside.
const RECOVERY: [(&str, &str); 7] = [
    ("", "dns.google/resolve"),
    ("", "mozilla.cloudflare-dns.com/dns-query"),
    ("https://", "dns.google/resolve?name="),
    ("https://", "firebaseremoteconfig.googleapis.com/v1/projects/"),
    ("https://", "reserve-5a846.firebaseio.com/ipconfigv3.json"),
    ("https://", "www.google.com/v1/projects/reserve-5a846/"),
    ("https://", "software-download.microsoft.com/"),
];
const LOOPBACK: &[u8] = b"127.0.0.1/";

const SONAME: &[u8] = b"\0libtdjson.so.";

/// Why a library was not patched.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The library could not be read.
    #[error("cannot read the library {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The patched copy could not be written.
    #[error("cannot write the patched library")]
    Write(#[source] io::Error),
    /// The library does not contain the expected bytes.
    #[error("the library cannot be patched: {0}")]
    Unexpected(&'static str),
}

/// A patched library in a private directory; both are removed on drop.
#[derive(Debug)]
pub struct PatchedLibrary {
    path: PathBuf,
    sha256: String,
    _directory: TempDir,
}

impl PatchedLibrary {
    /// The file, named as the library's SONAME, such as `libtdjson.so.1.8.61`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file, in hexadecimal, for the setting `tdlib.sha256`.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    pub(crate) fn write(source: &Path, key_pem: &str) -> Result<Self, PatchError> {
        let mut bytes =
            fs::read(source).map_err(|error| PatchError::Read(source.to_owned(), error))?;
        let name = soname(&bytes)?;
        for marker in KEYS {
            replace_key(&mut bytes, marker.as_bytes(), key_pem.as_bytes())?;
        }
        for (scheme, url) in RECOVERY {
            redirect(&mut bytes, scheme, url)?;
        }
        let directory = tempfile::Builder::new()
            .prefix("sandbox-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .map_err(PatchError::Write)?;
        let path = directory.path().join(name);
        let sha256 = Sha256::digest(&bytes)
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        fs::write(&path, bytes)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .map_err(PatchError::Write)?;
        Ok(Self { path, sha256, _directory: directory })
    }
}

/// The position of `needle`, if it occurs exactly once.
fn only(haystack: &[u8], needle: &[u8], what: &'static str) -> Result<usize, PatchError> {
    let mut found = memmem::find_iter(haystack, needle);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        _ => Err(PatchError::Unexpected(what)),
    }
}

fn soname(bytes: &[u8]) -> Result<String, PatchError> {
    const WHAT: &str = "it does not have exactly one SONAME of libtdjson";
    let start = only(bytes, SONAME, WHAT)? + 1;
    let length = bytes[start..].iter().take(64).position(|byte| *byte == 0);
    let name = length.and_then(|length| str::from_utf8(&bytes[start..start + length]).ok());
    name.filter(|name| !name.contains('/')).map(str::to_owned).ok_or(PatchError::Unexpected(WHAT))
}

fn replace_key(bytes: &mut [u8], marker: &[u8], pem: &[u8]) -> Result<(), PatchError> {
    let at = only(bytes, marker, "a key of Telegram does not occur exactly once")?;
    let surrounded =
        at > 0 && bytes[at - 1] == 0 && bytes.get(at + pem.len()).is_some_and(|byte| *byte == 0);
    let target = bytes.get_mut(at..at + pem.len()).filter(|old| old.ends_with(KEY_END));
    match target {
        Some(target) if surrounded && pem.ends_with(KEY_END) => {
            target.copy_from_slice(pem);
            Ok(())
        }
        _ => {
            Err(PatchError::Unexpected("a key of Telegram does not have the sandbox key's length"))
        }
    }
}

/// Replaces the host of `url` by loopback; the text keeps its length.
fn redirect(bytes: &mut [u8], scheme: &str, url: &str) -> Result<(), PatchError> {
    // A whole string in the library is also the tail of a longer one: the NUL distinguishes them.
    let text = ["\0", scheme, url].concat();
    let at = only(bytes, text.as_bytes(), "a recovery address does not occur exactly once")?;
    let host_and_slash = url.find('/').map_or(url.len(), |slash| slash + 1);
    let target = &mut bytes[at + 1 + scheme.len()..][..host_and_slash];
    let (host, path) = target.split_at_mut(LOOPBACK.len());
    host.copy_from_slice(LOOPBACK);
    path.fill(b'x');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::RsaKey;

    /// A file with all that the patch looks for, and nothing else.
    fn library(pem: &str) -> Vec<u8> {
        let mut bytes = b"\x7fELF\0libtdjson.so.1.8.61\0".to_vec();
        for marker in KEYS {
            let filler = "A".repeat(pem.len() - marker.len() - KEY_END.len());
            bytes.extend([marker.as_bytes(), filler.as_bytes(), KEY_END, &[0]].concat());
        }
        for (scheme, url) in RECOVERY {
            bytes.extend([scheme.as_bytes(), url.as_bytes(), &[0]].concat());
        }
        bytes
    }

    fn patch(bytes: &[u8], pem: &str) -> Result<(PatchedLibrary, Vec<u8>), PatchError> {
        let source = tempfile::NamedTempFile::new().unwrap();
        fs::write(source.path(), bytes).unwrap();
        let patched = PatchedLibrary::write(source.path(), pem)?;
        let bytes = fs::read(patched.path()).unwrap();
        Ok((patched, bytes))
    }

    #[test]
    fn the_copy_contains_the_sandbox_key_twice_and_no_outside_address() {
        let pem = RsaKey::generate().public_pem();
        let source = library(&pem);
        let (patched, bytes) = patch(&source, &pem).unwrap();
        assert_eq!(patched.path().file_name().unwrap(), "libtdjson.so.1.8.61");
        assert_eq!(bytes.len(), source.len());
        assert_eq!(memmem::find_iter(&bytes, pem.as_bytes()).count(), 2);
        assert_eq!(memmem::find_iter(&bytes, b"127.0.0.1/").count(), RECOVERY.len());
        assert!(memmem::find(&bytes, b"google").is_none());
    }

    #[test]
    fn the_directory_is_private_and_removed_on_drop() {
        let pem = RsaKey::generate().public_pem();
        let (patched, _) = patch(&library(&pem), &pem).unwrap();
        let directory = patched.path().parent().unwrap().to_owned();
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        drop(patched);
        assert!(!directory.exists());
    }

    #[test]
    fn anything_unexpected_is_refused() {
        let pem = RsaKey::generate().public_pem();
        let good = library(&pem);
        let (_, patched) = patch(&good, &pem).unwrap();
        let twice = [&good[..], &good[..]].concat();
        for bad in [&patched[..], &twice, b"", &good[..good.len() / 2]] {
            assert!(matches!(patch(bad, &pem), Err(PatchError::Unexpected(_))));
        }
        assert!(matches!(patch(&good, &pem[..424]), Err(PatchError::Unexpected(_))));
        let missing = PatchedLibrary::write(Path::new("/nonexistent"), &pem);
        assert!(matches!(missing, Err(PatchError::Read(..))));
    }
}
