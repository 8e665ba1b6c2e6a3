//! One list of settings: in a file, in the environment, as flags.

use std::{fs, process::Command};

use serde_json::Value;
use zipship_tests::{Place, Server};

/// What `zipship config` did: exit code, standard output, standard error.
fn config(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<(Option<i32>, String, String)> {
    let mut command = Command::new(Place::find()?.existing("ZIPSHIP_BIN")?);
    let output = command.arg("config").args(arguments).envs(environment.iter().copied()).output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code(), text(output.stdout), text(output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_what_file_and_environment_say_and_commands_find_its_state_there() -> anyhow::Result<()>
{
    let mut server = Server::at_fixed_port()?;
    let file = server.data().with_file_name("config.toml");
    let data = server.data();
    let lines = format!("regions = [\"one\", \"two\"]\nidle = 7\ndata = {data:?}\nlog-level = \"info\"\n");
    fs::write(&file, lines)?;
    let file = file.to_str().expect("a path in UTF-8");
    server.launch(&[
        ("ZIPSHIP_CONFIG", file),
        ("ZIPSHIP_LOG_LEVEL", "debug"),
        ("ZIPSHIP_PUBLIC_URL", "https://example.org"),
    ])?;

    let key = server.api().key();
    let url = |region: &str| format!("{}/functions/v1alpha2/regions/{region}/runtimes", server.api().url());
    let client = reqwest::Client::new();
    for (region, status) in [("one", 200), ("two", 200), ("fr-par", 400)] {
        let answer = client.get(url(region)).header("X-Auth-Token", key).send().await?;
        assert_eq!(answer.status(), status, "{region}");
    }
    assert!(server.log().contains(r#""level":"DEBUG""#), "the variable wins over the file");

    let mut keys = Command::new(Place::find()?.existing("ZIPSHIP_BIN")?);
    let listed = keys.args(["keys", "list", "--json"]).env("ZIPSHIP_CONFIG", file).output()?;
    let listed: Value = serde_json::from_slice(&listed.stdout)?;
    assert_eq!(
        listed[0]["organization_id"],
        server.api().organization(),
        "keys finds the data directory in the file"
    );
    server.stop()
}

#[test]
fn zipship_config_shows_what_holds_and_where_it_is_from() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("config.toml");
    fs::write(&file, "\nlisten = \"0.0.0.0:80\"\ndatabase-url = \"postgres://u:marker@h/d\"\n")?;
    let (file, all) = (file.to_str().expect("UTF-8"), [("ZIPSHIP_REGIONS", "a,b")]);

    let (code, table, error) = config(&["--config", file, "--", "--idle", "9"], &all)?;
    assert_eq!(code, Some(0), "{error}");
    let line =
        |name: &str| table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default();
    let cells = |name: &str| line(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells("idle"), ["idle", "9", "flag"]);
    assert_eq!(cells("regions"), ["regions", "a,", "b", "ZIPSHIP_REGIONS"]);
    assert_eq!(cells("listen"), ["listen", "0.0.0.0:80", &format!("{file},"), "line", "2"]);
    assert_eq!(cells("database-url")[1], "***");
    assert_eq!(cells("uid"), ["uid", "60089", "default"]);
    assert!(!table.contains("marker"), "{table}");
    assert!(error.contains("everybody may read it"), "{error}");

    let (_, text, _) = config(&["--json", "--config", file], &all)?;
    let json: Vec<Value> = serde_json::from_str(&text)?;
    let regions = json.iter().find(|setting| setting["name"] == "regions").expect("regions");
    assert_eq!(regions["value"], serde_json::json!(["a", "b"]));
    assert_eq!(regions["default"], serde_json::json!(["fr-par", "nl-ams"]));
    assert_eq!(regions["variable"], "ZIPSHIP_REGIONS");
    assert!(!text.contains("marker"));
    Ok(())
}

#[test]
fn zipship_config_check_says_what_is_wrong_and_the_defaults_are_a_file_that_changes_nothing()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("config.toml");
    let path = file.to_str().expect("UTF-8");
    let (_, defaults, _) = config(&["--defaults"], &[])?;
    fs::write(&file, &defaults)?;
    assert_eq!(config(&["--check", "--config", path], &[])?, (Some(0), String::new(), String::new()));
    // Every setting that has a default, with its # taken away, is still the default.
    let names = defaults.lines().filter(|line| line.contains(" = ") && !line.ends_with("# not set"));
    let set: Vec<&str> = names.filter_map(|line| line.strip_prefix("# ")).collect();
    assert!(set.len() > 5, "{defaults}");
    fs::write(&file, set.join("\n"))?;
    assert_eq!(config(&["--check", "--config", path], &[])?.0, Some(0));

    for (text, expected) in [
        ("lisen = 1", "line 1: there is no setting \"lisen\", perhaps \"listen\" is meant"),
        ("\nidle = \"soon\"", "line 2: invalid value 'soon' for '--idle <SECONDS>'"),
        ("database-url = \"mysql://x\"", "postgres"),
    ] {
        fs::write(&file, text)?;
        let (code, out, error) = config(&["--check", "--config", path], &[])?;
        assert!(code == Some(1) && out.is_empty() && error.contains(expected), "{text}: {code:?} {error}");
    }
    Ok(())
}
