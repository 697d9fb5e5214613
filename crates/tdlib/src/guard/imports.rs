use std::ffi::CStr;

use super::elf::LoadedObject;
use super::hooks::hooks;

/// Imports without which the library does not connect in a way that is understood.
const REQUIRED: [&CStr; 2] = [c"connect", c"getaddrinfo"];

/// Imports by which the library could get past the functions that replace its own.
const NOT_GUARDED: [&CStr; 15] = [
    c"__connect",
    c"__sendmmsg",
    c"getaddrinfo_a",
    c"gethostbyname2",
    c"gethostbyname_r",
    c"gethostbyname2_r",
    c"gethostbyaddr",
    c"gethostbyaddr_r",
    c"res_query",
    c"res_search",
    c"res_send",
    c"__res_query",
    c"__res_search",
    c"__res_send",
    c"io_uring_queue_init",
];

/// The C and C++ runtime, which connects to nothing unless it is called.
const RUNTIME: [&str; 9] = [
    "libc.so",
    "libm.so",
    "libdl.so",
    "librt.so",
    "libpthread.so",
    "libgcc_s.so",
    "libstdc++.so",
    "libatomic.so",
    "ld-linux-",
];

/// Why the library cannot be kept to a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// It is not loaded as a library usually is.
    #[error("{0}")]
    Layout(&'static str),
    /// It connects in another way.
    #[error("it does not import `{0}`")]
    NotImported(String),
    /// It could connect in another way.
    #[error("it imports `{0}`, which is not guarded")]
    NotGuarded(String),
    /// A library that it links to was not found.
    #[error("it links to `{0}`, which is not found")]
    Dependency(String),
    /// An import is used in a way that is not understood, or cannot be written, or has not changed
    /// when it was written.
    #[error("its import `{0}` cannot be replaced")]
    NotReplaced(String),
}

/// Binds the network calls of the object that contains `function`, and of the objects that it links
/// to, and verifies each slot.
pub(super) fn bind(function: *const ()) -> Result<(), GuardError> {
    let objects = LoadedObject::all();
    let library = objects.iter().find(|object| object.contains(function as usize));
    let library = library.ok_or(GuardError::Layout("it is not in the list of loaded libraries"))?;
    let imported = bind_object(library)?;
    if let Some(missing) = REQUIRED.into_iter().find(|name| !imported.contains(name)) {
        return Err(GuardError::NotImported(text(missing)));
    }
    let mut done = vec![library.base];
    let mut needed = needed_by(library)?;
    while let Some(name) = needed.pop() {
        let found = objects.iter().find(|object| object.file_name() == name);
        let object = found.ok_or(GuardError::Dependency(name))?;
        if !done.contains(&object.base) {
            done.push(object.base);
            bind_object(object)?;
            needed.extend(needed_by(object)?);
        }
    }
    Ok(())
}

/// Binds every slot of every import that has a hook; returns the imports that it found.
fn bind_object(object: &LoadedObject) -> Result<Vec<&'static CStr>, GuardError> {
    let (tables, hooks) = (object.tables().map_err(GuardError::Layout)?, hooks());
    let mut imported = Vec::new();
    for slot in tables.slots() {
        if NOT_GUARDED.contains(&slot.name) {
            return Err(GuardError::NotGuarded(text(slot.name)));
        }
        let Some((name, hook)) = hooks.iter().find(|(name, _)| *name == slot.name) else {
            continue;
        };
        if !slot.is_plain || !object.write(&slot, *hook).unwrap_or(false) {
            return Err(GuardError::NotReplaced(text(name)));
        }
        imported.push(*name);
    }
    Ok(imported)
}

/// The libraries that an object links to, without the C and C++ runtime.
fn needed_by(object: &LoadedObject) -> Result<Vec<String>, GuardError> {
    let tables = object.tables().map_err(GuardError::Layout)?;
    let is_runtime = |name: &String| RUNTIME.iter().any(|runtime| name.starts_with(runtime));
    Ok(tables.needed().map(text).filter(|name| !is_runtime(name)).collect())
}

fn text(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_does_not_connect_by_its_imports_is_not_trusted() {
        let objects = LoadedObject::all();
        let library = objects.iter().find(|object| object.file_name().starts_with("libgcc_s.so"));
        let inside = library.unwrap().segments(libc::PT_LOAD).next().unwrap().start;
        let refused = bind(inside as *const ()).unwrap_err();
        assert_eq!(refused, GuardError::NotImported("connect".to_owned()));
        assert!(matches!(bind(std::ptr::null()), Err(GuardError::Layout(_))));
    }
}
