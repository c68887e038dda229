//! The one place that reads the clocks. The core takes the time as an argument; the shell takes it from here.

use std::time::{Instant, SystemTime};

use chrono::{DateTime, Local};

use crate::rtp::rtcp::NtpTime;

#[expect(clippy::disallowed_methods, reason = "the shell tells the core the time")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day, for what the kernel says of datagrams.
#[expect(clippy::disallowed_methods, reason = "the shell maps the kernel's times to those of the core")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The time of day, for people and files.
pub fn time_of_day() -> DateTime<Local> {
    Local::now()
}

/// The time of day, for RTCP.
pub fn ntp() -> NtpTime {
    let now = time_of_day();
    NtpTime::from_unix(now.timestamp(), now.timestamp_subsec_nanos())
}
