//! Images that `zipship build` makes, in the hands of other people's clients: pulled from our registry and from
//! Debian's docker-registry, checked, unpacked and run.

mod compressions;
mod confined;
mod containerd;
mod crane;
mod dependencies;
mod function;
mod platforms;
mod podman;
mod skopeo;
mod tree;
mod world;

use std::{
    process::Command,
    time::{Duration, Instant},
};

/// A start on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(10);

/// What a command wrote, which must succeed.
fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
    output.stdout
}

/// The first answer of a server that is being started; `log` says why there is none.
async fn answer(port: &str, log: impl Fn() -> String) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let end = Instant::now() + DEADLINE;
    loop {
        match client.get(format!("http://127.0.0.1:{port}/")).send().await {
            Ok(response) => {
                let status = response.status();
                let text = response.text().await.unwrap();
                assert_eq!(status, 200, "{text}: {}", log());
                return text;
            }
            Err(error) => assert!(Instant::now() < end, "{error}: {}", log()),
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}
