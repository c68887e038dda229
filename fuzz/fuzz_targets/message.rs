//! See `secretary_fuzz::message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| secretary_fuzz::message(data));
