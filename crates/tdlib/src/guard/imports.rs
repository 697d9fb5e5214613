//! Points a loaded library's imports at other functions.
//!
//! The dynamic linker has written the address of each imported function into a slot of the library,
//! as the library's relocation tables say. The same tables say here which slots to write again.
#![expect(unsafe_code, reason = "the dynamic linker's tables are only reachable by pointers")]

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{Elf64_Phdr, Elf64_Sym, dl_phdr_info};

use super::hooks::hooks;

/// Imports without which the library does not connect in a way that is understood.
const REQUIRED: [&CStr; 2] = [c"connect", c"getaddrinfo"];

/// Imports by which the library could get past the functions that replace its own.
const NOT_GUARDED: [&CStr; 16] = [
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
    c"__res_nquery",
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

/// Types of relocations whose slot holds the address of a symbol: function slots, data slots, and
/// addresses in data.
#[cfg(target_arch = "x86_64")]
const ADDRESS_TYPES: [u32; 3] = [7, 6, 1];
#[cfg(target_arch = "aarch64")]
const ADDRESS_TYPES: [u32; 3] = [1026, 1025, 257];

/// Tags of the dynamic section. Source: the System V ABI.
const DT_NEEDED: i64 = 1;
const DT_PLTRELSZ: i64 = 2;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_RELA: i64 = 7;
const DT_RELASZ: i64 = 8;
const DT_REL: i64 = 17;
const DT_JMPREL: i64 = 23;

/// Why the library cannot be kept to a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The dynamic linker does not list the library, or its file is unusual.
    #[error("its tables are not as expected: {0}")]
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
    /// The import is used in a way that is not understood.
    #[error("its import `{0}` cannot be replaced")]
    Relocation(String),
    /// The system refuses to make a slot writable, or read-only again.
    #[error("the import `{0}` cannot be written")]
    Protection(String),
    /// What was written is not there.
    #[error("its import `{0}` is still another function")]
    NotBound(String),
}

/// Binds the network calls of the object that contains `function`, and of the objects that it links
/// to, and reads each slot again.
pub(super) fn bind(function: *const ()) -> Result<(), GuardError> {
    let objects = LoadedObject::all();
    let library = objects.iter().find(|object| object.contains(function as usize));
    let library = library.ok_or(GuardError::Layout("the library is not in the list"))?;
    let imported = library.bind()?;
    if let Some(missing) = REQUIRED.into_iter().find(|name| !imported.contains(name)) {
        return Err(GuardError::NotImported(text(missing)));
    }
    let mut done = vec![library.base];
    let mut needed = library.needed()?;
    while let Some(name) = needed.pop() {
        let found = objects.iter().find(|object| object.file_name() == name);
        let object = found.ok_or(GuardError::Dependency(name))?;
        if !done.contains(&object.base) {
            done.push(object.base);
            object.bind()?;
            needed.extend(object.needed()?);
        }
    }
    Ok(())
}

/// An object that the dynamic linker has loaded.
struct LoadedObject {
    path: String,
    base: usize,
    segments: Vec<Elf64_Phdr>,
}

/// An entry of a dynamic section.
#[repr(C)]
#[derive(Clone, Copy)]
struct DynamicEntry {
    tag: i64,
    value: usize,
}

/// An entry of a relocation table.
#[repr(C)]
#[derive(Clone, Copy)]
struct Relocation {
    offset: usize,
    info: u64,
    addend: i64,
}

impl LoadedObject {
    fn all() -> Vec<Self> {
        unsafe extern "C" fn add(info: *mut dl_phdr_info, _: usize, all: *mut c_void) -> c_int {
            // SAFETY: `all` is the vector below, and the linker's description of an object is valid
            // during this call.
            unsafe {
                let (all, info) = (&mut *all.cast::<Vec<LoadedObject>>(), &*info);
                let path = if info.dlpi_name.is_null() { c"" } else { CStr::from_ptr(info.dlpi_name) };
                let segments =
                    std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
                all.push(LoadedObject {
                    path: path.to_string_lossy().into_owned(),
                    base: info.dlpi_addr as usize,
                    segments: segments.to_vec(),
                });
            }
            0
        }

        let mut all: Vec<Self> = Vec::new();
        // SAFETY: the callback has the declared type and does not outlive the vector.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut all).cast()) };
        all
    }

    fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn contains(&self, address: usize) -> bool {
        self.ranges(libc::PT_LOAD).any(|range| range.contains(&address))
    }

    /// Where the segments of a type are in memory.
    fn ranges(&self, kind: u32) -> impl Iterator<Item = Range<usize>> {
        let of_kind = self.segments.iter().filter(move |segment| segment.p_type == kind);
        of_kind.map(|segment| {
            let start = self.base + segment.p_vaddr as usize;
            start..start + segment.p_memsz as usize
        })
    }

    /// The dynamic section, without its terminator.
    fn dynamic(&self) -> Result<Vec<DynamicEntry>, GuardError> {
        let section = self.ranges(libc::PT_DYNAMIC).next();
        let section = section.ok_or(GuardError::Layout("no dynamic section"))?;
        let entries = section.len() / size_of::<DynamicEntry>();
        // SAFETY: the object's own header says that its dynamic section is here.
        let entries = unsafe { table::<DynamicEntry>(section.start, entries) };
        Ok(entries.iter().copied().take_while(|entry| entry.tag != 0).collect())
    }

    /// The names of the libraries it links to, without the C and C++ runtime.
    fn needed(&self) -> Result<Vec<String>, GuardError> {
        let tables = self.tables()?;
        let dynamic = self.dynamic()?;
        let needed = dynamic.iter().filter(|entry| entry.tag == DT_NEEDED);
        let names = needed.map(|entry| tables.string(entry.value).to_string_lossy().into_owned());
        let is_runtime = |name: &str| RUNTIME.iter().any(|runtime| name.starts_with(runtime));
        Ok(names.filter(|name| !is_runtime(name)).collect())
    }

    fn tables(&self) -> Result<Tables, GuardError> {
        let dynamic = self.dynamic()?;
        let value = |tag| dynamic.iter().find(|entry| entry.tag == tag).map(|entry| entry.value);
        // glibc has added the base to the addresses in the section, as long as it is writable.
        let address = |tag| value(tag).map(|at| if at < self.base { at + self.base } else { at });
        if value(DT_REL).is_some() {
            return Err(GuardError::Layout("relocations without addends"));
        }
        let missing = GuardError::Layout("no symbols");
        Ok(Tables {
            strings: address(DT_STRTAB).ok_or_else(|| missing.clone())?,
            symbols: address(DT_SYMTAB).ok_or(missing)?,
            relocations: [(DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)]
                .map(|(at, size)| (address(at), value(size).unwrap_or(0))),
        })
    }

    /// Binds every slot of every import that has a hook; returns the imports that it found.
    fn bind(&self) -> Result<Vec<&'static CStr>, GuardError> {
        let (tables, hooks) = (self.tables()?, hooks());
        let mut imported = Vec::new();
        for relocation in tables.relocations() {
            let Some(name) = tables.symbol(relocation) else { continue };
            if NOT_GUARDED.contains(&name) {
                return Err(GuardError::NotGuarded(text(name)));
            }
            let Some((name, hook)) = hooks.iter().find(|(hooked, _)| *hooked == name) else {
                continue;
            };
            let kind = (relocation.info & 0xffff_ffff) as u32;
            if !ADDRESS_TYPES.contains(&kind) || relocation.addend != 0 {
                return Err(GuardError::Relocation(text(name)));
            }
            self.write(self.base + relocation.offset, *hook, name)?;
            imported.push(*name);
        }
        Ok(imported)
    }

    /// Writes a slot, and reads it again.
    fn write(&self, slot: usize, value: usize, name: &CStr) -> Result<(), GuardError> {
        let fits = slot.is_multiple_of(align_of::<usize>()) && self.contains(slot);
        if !fits {
            return Err(GuardError::Relocation(text(name)));
        }
        let page_size = page_size();
        let page = slot - slot % page_size;
        // The linker has made the pages that lie wholly within this segment read-only.
        let read_only = self.ranges(libc::PT_GNU_RELRO).any(|range| {
            (range.start - range.start % page_size..range.end - range.end % page_size).contains(&page)
        });
        if read_only {
            protect(page, page_size, libc::PROT_READ | libc::PROT_WRITE)
                .map_err(|_| GuardError::Protection(text(name)))?;
        }
        // SAFETY: the slot is aligned, in a writable page of this object, and other threads only
        // read it.
        let slot = unsafe { AtomicUsize::from_ptr(slot as *mut usize) };
        slot.store(value, Ordering::SeqCst);
        if read_only {
            protect(page, page_size, libc::PROT_READ)
                .map_err(|_| GuardError::Protection(text(name)))?;
        }
        let bound = slot.load(Ordering::SeqCst) == value;
        bound.then_some(()).ok_or_else(|| GuardError::NotBound(text(name)))
    }
}

/// Where an object's symbols and relocations are.
struct Tables {
    strings: usize,
    symbols: usize,
    /// Address and size in bytes.
    relocations: [(Option<usize>, usize); 2],
}

impl Tables {
    fn relocations(&self) -> impl Iterator<Item = &Relocation> {
        self.relocations.iter().flat_map(|(address, size)| {
            let entries = size / size_of::<Relocation>();
            // SAFETY: the dynamic section says that a relocation table of this size is here.
            address.map_or(&[][..], |address| unsafe { table::<Relocation>(address, entries) })
        })
    }

    /// The name of the symbol that a relocation refers to, if it does.
    fn symbol(&self, relocation: &Relocation) -> Option<&CStr> {
        let index = (relocation.info >> 32) as usize;
        if index == 0 {
            return None;
        }
        // SAFETY: a relocation's index is one of the symbol table's, which the linker has read too.
        let symbol = unsafe { &*(self.symbols as *const Elf64_Sym).add(index) };
        Some(self.string(symbol.st_name as usize))
    }

    fn string(&self, offset: usize) -> &CStr {
        // SAFETY: an offset from the object's own tables points to a string in the string table.
        unsafe { CStr::from_ptr((self.strings + offset) as *const _) }
    }
}

/// # Safety
///
/// `entries` values of type `T` are at the address, and stay.
unsafe fn table<'a, T>(address: usize, entries: usize) -> &'a [T] {
    // SAFETY: the caller vouches for it; libraries are not unloaded here.
    unsafe { std::slice::from_raw_parts(address as *const T, entries) }
}

fn page_size() -> usize {
    // SAFETY: it has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn protect(page: usize, size: usize, protection: c_int) -> io::Result<()> {
    // SAFETY: the page belongs to the library's data, which is never code, and stays readable.
    match unsafe { libc::mprotect(page as *mut c_void, size, protection) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn text(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}
