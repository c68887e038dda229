//! See `secretary_fuzz::stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| secretary_fuzz::stream(data));
