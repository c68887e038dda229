//! See `secretary_fuzz::digest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| secretary_fuzz::digest(data));
