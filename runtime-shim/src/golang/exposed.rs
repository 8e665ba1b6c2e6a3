//! Whether others reach a program's own port past the shim: it listens on all interfaces, and there are others
//! than loopback. A container of the server's has loopback alone.

const LISTENING: &str = "0A";

/// What to tell when the port of a program can be reached from elsewhere.
pub(super) fn warning(port: u16) -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let sockets = read("/proc/net/tcp") + &read("/proc/net/tcp6");
    let exposed = is_on_all_interfaces(&sockets, port) && has_other_interfaces(&read("/proc/net/dev"));
    exposed.then(|| {
        format!(
            "the handler listens on port {port} of all interfaces: whoever reaches that port calls it without \
             this server's token check and limits; let it listen on 127.0.0.1, or keep the port closed"
        )
    })
}

/// `sockets` as `/proc/net/tcp` and `/proc/net/tcp6` have them: `sl local_address rem_address st ...`.
fn is_on_all_interfaces(sockets: &str, port: u16) -> bool {
    let port = format!("{port:04X}");
    sockets.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, state) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
        let (address, found) = local.split_once(':').unwrap_or_default();
        state == LISTENING && found == port && !address.is_empty() && address.bytes().all(|b| b == b'0')
    })
}

/// `devices` as `/proc/net/dev` has them: `name: counters`.
fn has_other_interfaces(devices: &str) -> bool {
    devices.lines().filter_map(|line| line.split_once(':')).any(|(name, _)| name.trim() != "lo")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKETS: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n   \
        1: 00000000:1F91 00000000:0000 0A 00000000:00000000\n   \
        2: 00000000:1F92 0100007F:C350 01 00000000:00000000\n   \
        0: 00000000000000000000000000000000:1F93 00000000000000000000000000000000:0000 0A 0\n";

    #[test]
    fn only_a_listener_of_every_address_counts() {
        let found: Vec<_> = (8080..8085).filter(|port| is_on_all_interfaces(SOCKETS, *port)).collect();
        assert_eq!(found, [8081, 8083]);
    }

    #[test]
    fn loopback_alone_is_private() {
        let head = "Inter-|   Receive\n face |bytes    packets\n";
        assert!(!has_other_interfaces(&format!("{head}    lo: 1 2 3\n")));
        assert!(has_other_interfaces(&format!("{head}    lo: 1 2 3\n  eth0: 1 2 3\n")));
    }
}
