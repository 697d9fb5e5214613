//! What the dynamic linker knows about the libraries that it has loaded.
//!
//! It has written the address of each imported function into a slot of the library, as the library's
//! relocation tables say. The same tables are read here, and slots written again.
#![expect(unsafe_code, reason = "the dynamic linker's tables are only reachable by pointers")]

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::ops::Range;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{Elf64_Phdr, Elf64_Sym, dl_phdr_info};

/// Types of relocations whose slot holds the address of a symbol and nothing else: function slots,
/// data slots, and addresses in data.
#[cfg(target_arch = "x86_64")]
const ADDRESS_TYPES: [u64; 3] = [7, 6, 1];
#[cfg(target_arch = "aarch64")]
const ADDRESS_TYPES: [u64; 3] = [1026, 1025, 257];

/// Tags of the dynamic section. Source: the System V ABI.
const DT_NEEDED: i64 = 1;
const DT_PLTRELSZ: i64 = 2;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_RELA: i64 = 7;
const DT_RELASZ: i64 = 8;
const DT_REL: i64 = 17;
const DT_JMPREL: i64 = 23;

/// An object that the dynamic linker has loaded.
pub(super) struct LoadedObject {
    path: String,
    pub(super) base: usize,
    segments: Vec<Elf64_Phdr>,
}

/// A slot into which the linker has written the address of an import.
pub(super) struct ImportSlot<'a> {
    pub(super) name: &'a CStr,
    address: usize,
    /// Whether it holds that address and nothing else.
    pub(super) is_plain: bool,
}

/// Where an object's symbols and relocations are.
pub(super) struct ImportTables {
    base: usize,
    strings: usize,
    symbols: usize,
    needed: Vec<usize>,
    /// Address and size in bytes.
    relocations: [(Option<usize>, usize); 2],
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
    pub(super) fn all() -> Vec<Self> {
        unsafe extern "C" fn add(info: *mut dl_phdr_info, _: usize, all: *mut c_void) -> c_int {
            // SAFETY: `all` is the vector below, and the linker's description of an object, with its
            // name and its segments, is valid during this call.
            unsafe {
                let (all, info) = (&mut *all.cast::<Vec<LoadedObject>>(), &*info);
                let path = (!info.dlpi_name.is_null()).then(|| CStr::from_ptr(info.dlpi_name));
                let segments = slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
                all.push(LoadedObject {
                    path: path.unwrap_or_default().to_string_lossy().into_owned(),
                    base: to_usize(info.dlpi_addr),
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

    pub(super) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn contains(&self, address: usize) -> bool {
        self.segments(libc::PT_LOAD).any(|range| range.contains(&address))
    }

    /// Where its segments of a type are in memory.
    pub(super) fn segments(&self, kind: u32) -> impl Iterator<Item = Range<usize>> {
        let of_kind = self.segments.iter().filter(move |segment| segment.p_type == kind);
        of_kind.map(|segment| {
            let start = self.base + to_usize(segment.p_vaddr);
            start..start + to_usize(segment.p_memsz)
        })
    }

    /// Its tables, or which of them is not as expected.
    pub(super) fn tables(&self) -> Result<ImportTables, &'static str> {
        let section = self.segments(libc::PT_DYNAMIC).next().ok_or("it has no dynamic section")?;
        let entries = section.len() / size_of::<DynamicEntry>();
        // SAFETY: the object's own header says that its dynamic section is here.
        let entries = unsafe { table::<DynamicEntry>(section.start, entries) };
        let entries = || entries.iter().take_while(|entry| entry.tag != 0);
        let value = |tag| entries().find(|entry| entry.tag == tag).map(|entry| entry.value);
        // The linker has added the base to the section's addresses, unless the section is read-only.
        let address = |tag| value(tag).map(|at| if at < self.base { at + self.base } else { at });
        if value(DT_REL).is_some() {
            return Err("its relocations have no addends");
        }
        let needed = entries().filter(|entry| entry.tag == DT_NEEDED);
        Ok(ImportTables {
            base: self.base,
            strings: address(DT_STRTAB).ok_or("it has no strings")?,
            symbols: address(DT_SYMTAB).ok_or("it has no symbols")?,
            needed: needed.map(|entry| entry.value).collect(),
            relocations: [(DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)]
                .map(|(at, size)| (address(at), value(size).unwrap_or(0))),
        })
    }

    /// Writes a slot; returns whether it then has that value.
    ///
    /// # Errors
    ///
    /// The system does not make the slot writable, or read-only again.
    pub(super) fn write(&self, slot: &ImportSlot<'_>, value: usize) -> io::Result<bool> {
        let address = slot.address;
        if !address.is_multiple_of(align_of::<usize>()) || !self.contains(address) {
            return Ok(false);
        }
        let page_size = page_size();
        let page = address - address % page_size;
        // The linker has made the pages that lie wholly within this segment read-only.
        let is_read_only = self.segments(libc::PT_GNU_RELRO).any(|range| {
            let [start, end] = [range.start, range.end].map(|end| end - end % page_size);
            (start..end).contains(&page)
        });
        if is_read_only {
            protect(page, page_size, libc::PROT_READ | libc::PROT_WRITE)?;
        }
        // SAFETY: the slot is aligned, in a writable page of this object, and only read by others.
        let slot = unsafe { AtomicUsize::from_ptr(address as *mut usize) };
        slot.store(value, Ordering::SeqCst);
        if is_read_only {
            protect(page, page_size, libc::PROT_READ)?;
        }
        Ok(slot.load(Ordering::SeqCst) == value)
    }
}

impl ImportTables {
    /// The names of the libraries that the object links to.
    pub(super) fn needed(&self) -> impl Iterator<Item = &CStr> {
        self.needed.iter().map(|offset| self.string(*offset))
    }

    /// The slots of everything that the object refers to by name.
    pub(super) fn slots(&self) -> impl Iterator<Item = ImportSlot<'_>> {
        let relocations = self.relocations.iter().flat_map(|(address, size)| {
            let entries = size / size_of::<Relocation>();
            // SAFETY: the dynamic section says that a relocation table of this size is here.
            address.map_or(&[][..], |address| unsafe { table::<Relocation>(address, entries) })
        });
        relocations.filter_map(|relocation| {
            let (symbol, kind) = (relocation.info >> 32, relocation.info & 0xffff_ffff);
            (symbol != 0).then(|| ImportSlot {
                name: self.symbol_name(to_usize(symbol)),
                address: self.base + relocation.offset,
                is_plain: ADDRESS_TYPES.contains(&kind) && relocation.addend == 0,
            })
        })
    }

    fn symbol_name(&self, index: usize) -> &CStr {
        // SAFETY: a relocation's index is one of the symbol table's; the linker has used it too.
        let symbol = unsafe { &*(self.symbols as *const Elf64_Sym).add(index) };
        self.string(symbol.st_name as usize)
    }

    fn string(&self, offset: usize) -> &CStr {
        // SAFETY: an offset from the object's own tables points to a string in the string table.
        unsafe { CStr::from_ptr((self.strings + offset) as *const _) }
    }
}

/// # Safety
///
/// `entries` values of type `T` are at the address, in a library that is never unloaded.
unsafe fn table<'a, T>(address: usize, entries: usize) -> &'a [T] {
    // SAFETY: the caller vouches for it.
    unsafe { slice::from_raw_parts(address as *const T, entries) }
}

/// Objects of 64 bits only: their numbers are addresses.
#[expect(clippy::cast_possible_truncation, reason = "a 64-bit object is only loaded on 64 bits")]
fn to_usize(number: u64) -> usize {
    number as usize
}

fn page_size() -> usize {
    // SAFETY: it has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn protect(page: usize, size: usize, protection: c_int) -> io::Result<()> {
    // SAFETY: the page belongs to a library's data, which is never code, and stays readable.
    match unsafe { libc::mprotect(page as *mut c_void, size, protection) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
