//! The layers, and the page that lists the settings.

use std::{collections::HashMap, fs, path::Path};

use super::*;

/// When set, the list in docs/configuration.md is written anew.
const WRITE: &str = "ZIPSHIP_WRITE_CONFIGURATION";
const BEGIN: &str = "<!-- settings: made by a test -->\n";
const END: &str = "<!-- end of settings -->\n";

fn resolved(flags: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Vec<Given>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, file).unwrap();
    let named = format!("--config={}", path.display());
    let command = serve_command();
    let argv = ["serve", &named].into_iter().chain(flags.iter().copied());
    let matches = command.clone().try_get_matches_from(argv).unwrap();
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let environment = |name: &str| variables.get(name).map(OsString::from);
    resolve(&command, &matches, &of_server(), &environment)
        .map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
}

/// The values of one setting and where they are from, for those that are no default.
fn one(given: &[Given], name: &str) -> (Vec<String>, String) {
    let given = given.iter().find(|given| given.setting.name == name).expect(name);
    let source = match &given.source {
        Source::File(_, line) => format!("line {line}"),
        source => source.to_string(),
    };
    (given.values.clone(), source)
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "idle = 1\nlisten = \"127.0.0.1:1\"\n\nlog-level = \"warn\"\njson = true\n";
    let variables = [("ZIPSHIP_IDLE", "2"), ("ZIPSHIP_LISTEN", "127.0.0.1:2"), ("ZIPSHIP_UID", "")];
    let given = resolved(&["--idle", "3"], &variables, file).unwrap();
    assert_eq!(one(&given, "idle"), (vec!["3".into()], "flag".into()));
    assert_eq!(one(&given, "listen"), (vec!["127.0.0.1:2".into()], "ZIPSHIP_LISTEN".into()));
    assert_eq!(one(&given, "log-level"), (vec!["warn".into()], "line 4".into()));
    assert_eq!(one(&given, "json"), (vec!["true".into()], "line 5".into()));
    assert!(given.iter().all(|given| given.setting.name != "uid"), "an empty variable says nothing");
}

#[test]
fn lists_come_whole_from_one_source() {
    let file = "regions = [\"a\", \"b\"]\nlimit = \"file-bytes=1M\"";
    let given = resolved(&[], &[], file).unwrap();
    assert_eq!(one(&given, "regions").0, ["a", "b"]);
    assert_eq!(one(&given, "limit").0, ["file-bytes=1M"]);
    let given = resolved(&["--region", "x"], &[("ZIPSHIP_REGIONS", "c, d")], file).unwrap();
    assert_eq!(one(&given, "regions").0, ["x"]);
    let given = resolved(&[], &[("ZIPSHIP_REGIONS", "c, d")], file).unwrap();
    assert_eq!(one(&given, "regions").0, ["c", "d"]);
}

#[test]
fn what_excludes_a_stronger_setting_does_not_count() {
    let file = "database-url = \"postgres://file/x\"";
    let given = resolved(&["--database-url-file", "/f"], &[("ZIPSHIP_DATABASE_URL", "postgres://v/x")], file);
    let given = given.unwrap();
    assert!(given.iter().all(|given| given.setting.name != "database-url"));
    assert_eq!(one(&given, "database-url-file").0, ["/f"]);
}

#[test]
fn a_usual_variable_counts_unless_ours_says_more() {
    let usual = ("AWS_SECRET_ACCESS_KEY", "usual");
    let given = resolved(&[], &[usual], "").unwrap();
    let expected = (vec!["usual".to_owned()], "AWS_SECRET_ACCESS_KEY".to_owned());
    assert_eq!(one(&given, "s3-secret-access-key"), expected);
    let given = resolved(&[], &[usual, ("ZIPSHIP_S3_SECRET_ACCESS_KEY_FILE", "/f")], "").unwrap();
    assert!(given.iter().all(|given| given.setting.name != "s3-secret-access-key"));
    assert_eq!(one(&given, "s3-secret-access-key-file").0, ["/f"]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let cases = [
        ("\nlisen = 1", r#"FILE, line 2: there is no setting "lisen", perhaps "listen" is meant"#),
        (
            "registry_quota = 1",
            r#"FILE, line 1: there is no setting "registry_quota", perhaps "registry-quota" is"#,
        ),
        (
            "something-else = 1",
            r#"FILE, line 1: there is no setting "something-else"; `zipship config --defaults`"#,
        ),
        ("idle = 1\nlisten = \"here\"", "FILE, line 2: invalid value 'here' for '--listen <ADDRESS>'"),
        ("json = 1", "FILE, line 1: json is to be true or false, not a number"),
        ("idle = [1]", "FILE, line 1: idle is to be a text, a number, or true or false, not a list"),
        ("[server]\nidle = 1", r#"FILE, line 1: there is no setting "server""#),
        ("idle = 1\nidle = 2", "FILE, line 2: "),
        ("idle = 1\ndatabase-url = \"marker", "FILE, line 2: "),
    ];
    for (file, expected) in cases {
        let error = resolved(&[], &[], file).unwrap_err();
        assert!(error.starts_with(expected), "{file:?}: {error}");
        assert!(!error.contains("marker"), "a line of the file is not shown: {error}");
    }
    let error = resolved(&[], &[("ZIPSHIP_IDLE", "soon")], "").unwrap_err();
    assert!(error.starts_with("ZIPSHIP_IDLE: invalid value 'soon'"), "{error}");
    let error = resolved(&[], &[("ZIPSHIP_JSON", "perhaps")], "").unwrap_err();
    assert_eq!(error, "ZIPSHIP_JSON: this is to be true or false");
    let command = serve_command();
    let matches = command.clone().try_get_matches_from(["serve", "--config", "/nowhere/x.toml"]).unwrap();
    let error = resolve(&command, &matches, &of_server(), &|_| None).unwrap_err().to_string();
    assert!(
        error.starts_with("the configuration file /nowhere/x.toml can't be read: No such file"),
        "{error}"
    );
}

#[test]
fn every_setting_reaches_the_server_as_it_was_set() {
    let file =
        "idle = 7\njson = true\nregions = [\"a\", \"b\"]\nlimit = [\"file-bytes=1M\"]\nregistry-quota = 5";
    let given = resolved(&["--listen", "127.0.0.1:9"], &[("ZIPSHIP_PUBLIC_URL", "https://a")], file).unwrap();
    let text = hand_over(&given, &of_server(), &[("data", "/d".to_owned())]).unwrap();
    let serve = take_over(&text).unwrap();
    assert_eq!((serve.idle, serve.json, serve.registry_quota), (7, true, Some(5)));
    assert_eq!(serve.regions, ["a", "b"]);
    assert_eq!((serve.data.as_path(), serve.listen.port()), (Path::new("/d"), 9));
    assert_eq!(serve.public_url.as_deref(), Some("https://a"));
}

#[test]
fn a_file_with_a_secret_is_read_before_the_server_is_told() {
    use secrecy::ExposeSecret as _;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("url");
    fs::write(&secret, "postgres://user:word@127.0.0.1/x\n").unwrap();
    let given = resolved(&["--database-url-file", secret.to_str().unwrap()], &[], "").unwrap();
    let text = hand_over(&given, &of_server(), &[]).unwrap();
    assert!(text.expose_secret().contains("--database-url=postgres://user:word@127.0.0.1/x\""));
    assert!(!text.expose_secret().contains("--database-url-file"));
    assert!(take_over(&text).unwrap().database.url().unwrap().is_some());
    fs::remove_file(&secret).unwrap();
    let error = hand_over(&given, &of_server(), &[]).unwrap_err();
    assert!(format!("{error:#}").contains("which database-url-file names (flag)"), "{error:#}");
}

#[test]
fn secrets_are_known_by_their_type() {
    let secrets: Vec<_> =
        of_server().into_iter().filter(|setting| setting.secret).map(|setting| setting.name).collect();
    assert!(secrets.contains(&"database-url".to_owned()), "{secrets:?}");
    assert!(!secrets.contains(&"listen".to_owned()));
}

#[test]
fn the_page_lists_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(&path).expect("docs/configuration.md");
    let (head, rest) = page.split_once(BEGIN).expect("the list's beginning");
    let (list, tail) = rest.split_once(END).expect("the list's end");
    let now = list_for_page();
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, format!("{head}{BEGIN}{now}{END}{tail}")).unwrap();
        return;
    }
    assert!(list == now, "docs/configuration.md is old: run this test once with {WRITE}=1");
}

fn list_for_page() -> String {
    let mut text =
        String::from("| setting | variable | default | what it is for |\n| --- | --- | --- | --- |\n");
    for setting in of_server() {
        let default = match (&setting.default[..], setting.shape) {
            ([], _) => "not set".to_owned(),
            (values, _) => format!("`{}`", values.join(", ")),
        };
        let shape = match setting.shape {
            Shape::Many => "; a list",
            Shape::Switch => "; true or false",
            Shape::One => "",
        };
        let secret = if setting.secret { "; secret" } else { "" };
        let usual = setting.usual.map_or_else(String::new, |variable| format!(", else `{variable}`"));
        let about = setting.about.replace('\n', " ").replace('|', "\\|").replace('<', "&lt;");
        text.push_str(&format!(
            "| `{}` | `{}`{usual} | {default} | {about}{shape}{secret} |\n",
            setting.name, setting.variable
        ));
    }
    text
}
