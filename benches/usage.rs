//! What a process has used so far, as Linux tells it.

use std::fs;

/// User and system time so far in seconds (proc(5): fields 14 and 15 of stat, in hundredths of a second on Linux).
pub fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    let after_name = stat.rsplit_once(')').expect("a name in parentheses").1;
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Resident memory in kilobytes.
pub fn memory_kb(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
    resident.split_whitespace().next().and_then(|kb| kb.parse().ok()).expect("kilobytes")
}
