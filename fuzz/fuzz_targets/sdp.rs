//! See `secretary_fuzz::sdp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| secretary_fuzz::sdp(data));
