//! What a process has used so far, as Linux tells it.

use std::fs;

/// User and system time so far in seconds.
pub fn cpu_seconds(process: u32) -> f64 {
    times(process, 14)
}

/// The same of its children that have ended.
#[allow(dead_code, reason = "not all benchmarks have children")]
pub fn children_cpu_seconds(process: u32) -> f64 {
    times(process, 16)
}

/// Two fields of stat (proc(5)), in hundredths of a second on Linux.
fn times(process: u32, field: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    // The third field is the first behind the name.
    let after_name = stat.rsplit_once(')').expect("a name in parentheses").1;
    let ticks = after_name.split_whitespace().skip(field - 3).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Resident memory in kilobytes.
pub fn memory_kb(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
    resident.split_whitespace().next().and_then(|kb| kb.parse().ok()).expect("kilobytes")
}
