//! The systemd unit, and what its manager is told.

use std::{fs, os::unix::net::UnixDatagram, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use zipship_tests::{Place, Server};

#[test]
fn systemd_reads_the_unit_without_a_complaint() -> anyhow::Result<()> {
    let unit =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/zipship.service"))?;
    ensure!(unit.contains("ExecStart=/usr/local/bin/zipship serve"));
    // It looks whether the program is there.
    let program = Place::find()?.existing("ZIPSHIP_BIN")?;
    let unit = unit.replace("/usr/local/bin/zipship", &program.display().to_string());
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("zipship.service");
    fs::write(&file, unit)?;
    let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output();
    let verify = verify.context("systemd-analyze (scripts/setup test installs it)")?;
    let said = String::from_utf8_lossy(&verify.stderr);
    // Other units of the machine are none of ours.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("zipship")).collect();
    ensure!(verify.status.success() && ours.is_empty(), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_is_told_when_the_server_is_ready_and_when_it_ends() -> anyhow::Result<()> {
    let mut server = Server::at_fixed_port()?;
    let socket = server.data().with_file_name("notify");
    let manager = UnixDatagram::bind(&socket)?;
    // As systemd's: the server has no privileges.
    fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    manager.set_read_timeout(Some(Duration::from_secs(10)))?;
    server.launch(&[("NOTIFY_SOCKET", socket.to_str().context("UTF-8")?)])?;
    let heard = || -> anyhow::Result<String> {
        let mut bytes = [0; 100];
        let count = manager.recv(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
    };
    assert_eq!(heard()?, "READY=1");
    server.halt()?;
    assert_eq!(heard()?, "STOPPING=1");
    Ok(())
}
