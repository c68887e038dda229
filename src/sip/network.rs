//! A range of addresses, for access lists.

use std::net::IpAddr;

/// An address with the number of leading bits that count (CIDR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address == address
    }
}
