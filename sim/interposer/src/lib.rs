//! Answers `getrandom` from a seed on simulation threads, so that the order of std's HashMap is a function of the seed.
//!
//! Linking this crate puts its `getrandom` and `getentropy` before the C library's. A thread that was not seeded gets
//! what the operating system gives, as ever. Never link it into a shipped binary, nor beside madsim, which
//! interposes the same functions.
//!
//! The only crate of the workspace with unsafe code: exporting a C symbol and filling a caller's buffer need it.
#![allow(unsafe_code)]

use std::cell::Cell;

use libc::{c_int, c_uint, c_void, size_t, ssize_t};

thread_local! {
    /// State of this thread's stream; None leaves the thread to the operating system.
    static STREAM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From here on this thread's ambient randomness is a function of `seed`. std takes the keys of its hash maps once per
/// thread, at the first map: seed a thread before it makes one.
pub fn seed_thread(seed: u64) {
    STREAM.set(Some(seed));
}

/// Gives the thread back to the operating system's entropy.
pub fn unseed_thread() {
    STREAM.set(None);
}

/// The next step of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, word ^ (word >> 31))
}

/// Fills `bytes` from this thread's stream; false if the thread has none.
fn fill_from_stream(bytes: &mut [u8]) -> bool {
    // A thread that is ending may have lost its locals: then the operating system answers.
    let Ok(Some(mut state)) = STREAM.try_with(Cell::get) else { return false };
    for chunk in bytes.chunks_mut(8) {
        let (next, word) = split_mix(state);
        state = next;
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
    STREAM.try_with(|stream| stream.set(Some(state))).is_ok()
}

/// # Safety
/// `buffer` must be valid for writes of `length` bytes.
unsafe fn answer(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if buffer.is_null() || length == 0 {
        // Probes of availability ask for nothing: std and the getrandom crate do so.
        // SAFETY: the kernel checks the address itself and writes at most `length` bytes.
        return unsafe { system_call(buffer, length, flags) };
    }
    // SAFETY: the caller promises `length` writable bytes at `buffer`, and it is not null. They may be
    // uninitialised; they are zeroed first, so that the slice never shows an uninitialised byte.
    let bytes = unsafe {
        std::ptr::write_bytes(buffer.cast::<u8>(), 0, length);
        std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length)
    };
    if fill_from_stream(bytes) {
        return ssize_t::try_from(length).unwrap_or(ssize_t::MAX);
    }
    // SAFETY: as above.
    unsafe { system_call(buffer, length, flags) }
}

/// # Safety
/// `buffer` must be valid for writes of `length` bytes, or an address that the kernel may refuse.
unsafe fn system_call(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    // SAFETY: SYS_getrandom takes exactly these three arguments; errors come back as -1 with errno set.
    unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as ssize_t }
}

/// The C library's `getrandom(2)`.
///
/// # Safety
/// As for the function it stands for: `buffer` must be valid for writes of `length` bytes.
// SAFETY: the name and signature are those of the C library's function, whose every caller expects this behaviour.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    // SAFETY: the caller's promise is passed on.
    unsafe { answer(buffer, length, flags) }
}

/// The C library's `getentropy(3)`: all or nothing, at most 256 bytes.
///
/// # Safety
/// As for the function it stands for: `buffer` must be valid for writes of `length` bytes.
// SAFETY: the name and signature are those of the C library's function, whose every caller expects this behaviour.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getentropy(buffer: *mut c_void, length: size_t) -> c_int {
    const LENGTH_MAX: size_t = 256;
    if length > LENGTH_MAX {
        // SAFETY: errno is this thread's own and always writable.
        unsafe { *libc::__errno_location() = libc::EIO };
        return -1;
    }
    // SAFETY: the caller's promise is passed on. The kernel gives up to 256 bytes whole or not at all.
    if unsafe { answer(buffer, length, 0) } == ssize_t::try_from(length).unwrap_or(-1) { 0 } else { -1 }
}
