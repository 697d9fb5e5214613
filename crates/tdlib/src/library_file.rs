use std::fmt::Write as _;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::LoadError;

/// SHA-256 of the builds that `scripts/fetch-tdlib` downloads; docs/tdlib.md says where each is from.
const KNOWN_BUILDS: [&str; 3] = [
    "1525729d63def8a7804197f9ee26c5164e8b6726fcf65780d99db42f1a721a2d",
    "005ea806bceb950fd44af3c3553277e5331a1dc1ea721db53be27580ab114edf",
    "80388835c97194109c693f93c30fa93b79176a88ba800c4a831572dd95ced823",
];

/// Bytes that are hashed at once.
const CHUNK: usize = 1 << 20;

/// A file whose content is known and that nobody else can change: what may be loaded as libtdjson.
#[derive(Debug)]
pub struct LibraryFile {
    path: PathBuf,
}

impl LibraryFile {
    /// Checks the file's owner, permissions and content, before anything in it is run.
    ///
    /// `sha256` is the expected checksum in hexadecimal; without one, the file must be a build that
    /// `scripts/fetch-tdlib` downloads.
    ///
    /// # Errors
    ///
    /// A missing file, one that belongs to or is writable by others than root and this process's
    /// user, or another content.
    pub fn verify(path: &Path, sha256: Option<&str>) -> Result<Self, LoadError> {
        // An absolute path, so that the linker's search paths do not apply.
        let path = path.canonicalize().map_err(|_| LoadError::Missing(path.to_owned()))?;
        if !path.is_file() {
            return Err(LoadError::Missing(path));
        }
        let read = |source| LoadError::Read { path: path.clone(), source };
        let file = File::open(&path).map_err(read)?;
        let directory = path.parent().unwrap_or(&path).metadata().map_err(read)?;
        if is_changeable(&file.metadata().map_err(read)?) || is_replaceable(&directory) {
            return Err(LoadError::Changeable(path));
        }
        let found = checksum(file).map_err(read)?;
        let expected = match sha256 {
            Some(expected) => expected.eq_ignore_ascii_case(&found),
            None => KNOWN_BUILDS.contains(&found.as_str()),
        };
        if expected { Ok(Self { path }) } else { Err(LoadError::Checksum { path, found }) }
    }

    /// The absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether someone else can write to the file.
fn is_changeable(file: &Metadata) -> bool {
    let user = rustix::process::geteuid().as_raw();
    file.permissions().mode() & 0o022 != 0 || ![0, user].contains(&file.uid())
}

/// Whether anyone can put another file in the place of one in this directory.
fn is_replaceable(directory: &Metadata) -> bool {
    let mode = directory.permissions().mode();
    mode & 0o002 != 0 && mode & 0o1000 == 0
}

fn checksum(mut file: impl Read) -> io::Result<String> {
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            length => hash.update(&chunk[..length]),
        }
    }
    let mut text = String::new();
    for byte in hash.finalize() {
        write!(text, "{byte:02x}").map_err(io::Error::other)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    /// SHA-256 of `abc`.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn only_a_file_with_the_expected_content_may_be_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libtdjson.so.1.8.61");
        fs::write(&path, "abc").unwrap();
        assert_eq!(LibraryFile::verify(&path, Some(ABC)).unwrap().path(), path);
        assert!(LibraryFile::verify(&path, Some(&ABC.to_uppercase())).is_ok());
        let error = LibraryFile::verify(&path, None).unwrap_err();
        assert!(matches!(&error, LoadError::Checksum { found, .. } if found == ABC), "{error}");
        fs::write(&path, "abd").unwrap();
        let error = LibraryFile::verify(&path, Some(ABC)).unwrap_err();
        assert!(matches!(error, LoadError::Checksum { .. }), "{error}");
    }

    #[test]
    fn a_file_that_others_can_write_is_not_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libtdjson.so.1.8.61");
        fs::write(&path, "abc").unwrap();
        for mode in [0o664, 0o646, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = LibraryFile::verify(&path, Some(ABC)).unwrap_err();
            assert!(matches!(error, LoadError::Changeable(_)), "{mode:o}: {error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o555)).unwrap();
        LibraryFile::verify(&path, Some(ABC)).unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
        let error = LibraryFile::verify(&path, Some(ABC)).unwrap_err();
        assert!(matches!(error, LoadError::Changeable(_)), "{error}");
    }

    #[test]
    fn the_known_builds_are_those_that_the_script_downloads() {
        let script = include_str!("../../../scripts/fetch-tdlib");
        for sum in KNOWN_BUILDS {
            assert!(script.contains(sum), "{sum}");
        }
    }
}
