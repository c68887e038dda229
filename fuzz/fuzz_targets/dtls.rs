//! See `secretary_fuzz::dtls`.
#![no_main]

use std::time::Instant;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be had in no other way; all times are relative to it"
    )]
    let now = Instant::now();
    secretary_fuzz::dtls(now, data);
});
