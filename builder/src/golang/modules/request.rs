//! What a go tool may ask of a module proxy, and what of that is passed on: reading one module's versions,
//! nothing else. The grammar is that of <https://go.dev/ref/mod#goproxy-protocol>.

/// Longest path of a module, and of a version.
const PATH_BYTES: usize = 512;

/// A question that is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModuleRequest {
    /// As asked, without the slash at its begin; letters and signs of module paths only.
    pub path: String,
    /// What is asked for.
    pub kind: Kind,
}

/// What is asked of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Which versions there are, or which is the newest: never kept.
    Question,
    /// `.info` or `.mod` of a version.
    Document,
    /// The source of a version: every file in it is below `prefix`, which is `module@version`.
    Zip { prefix: String },
}

/// The request of a path and query; `None` for everything that is not passed on.
pub(super) fn parse(path: &str) -> Option<ModuleRequest> {
    let path = path.strip_prefix('/')?;
    if path.len() > 2 * PATH_BYTES {
        return None;
    }
    if let Some(module) = path.strip_suffix("/@latest") {
        unescaped(module).filter(|module| is_module(module))?;
        return Some(ModuleRequest { path: path.to_owned(), kind: Kind::Question });
    }
    let (module, file) = path.split_once("/@v/")?;
    let module = unescaped(module).filter(|module| is_module(module))?;
    if file == "list" {
        return Some(ModuleRequest { path: path.to_owned(), kind: Kind::Question });
    }
    let (version, extension) = file.rsplit_once('.')?;
    let version = unescaped(version).filter(|version| is_version(version))?;
    let kind = match extension {
        "info" | "mod" => Kind::Document,
        "zip" => Kind::Zip { prefix: format!("{module}@{version}") },
        _ => return None,
    };
    Some(ModuleRequest { path: path.to_owned(), kind })
}

/// Capitals are written `!` and the small letter, so that file systems without a difference have one, too.
fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '!' => plain.push(letters.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            capital if capital.is_ascii_uppercase() => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// A module's path begins with a domain. The go tool's own toolchains are modules as well; they stay away.
fn is_module(module: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let element = |element: &str| !element.is_empty() && !element.starts_with('.') && !element.ends_with('.');
    let domain = module.split('/').next().unwrap_or_default();
    module.len() <= PATH_BYTES
        && module.split('/').all(|part| element(part) && part.bytes().all(sign))
        && domain.contains('.')
        && !domain.starts_with('-')
        && module != "golang.org/toolchain"
}

fn is_version(version: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-.+".contains(&byte);
    version.len() <= PATH_BYTES
        && version.starts_with('v')
        && version.bytes().all(sign)
        && !version.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_may_be_read() {
        for path in [
            "/example.com/a/@v/list",
            "/example.com/a/@latest",
            "/example.com/a/@v/v1.2.3.info",
            "/example.com/a/v2/@v/v2.0.0-20240101000000-0123456789ab.mod",
            "/github.com/!burnt!sushi/toml/@v/v1.0.0.mod",
            "/gopkg.in/yaml.v3/@v/v3.0.0+incompatible.mod",
        ] {
            assert_eq!(parse(path).unwrap().path, &path[1..], "{path}");
        }
        let zip = parse("/github.com/!burnt!sushi/toml/@v/v1.0.0-!r!c1.zip").unwrap();
        assert_eq!(zip.kind, Kind::Zip { prefix: "github.com/BurntSushi/toml@v1.0.0-RC1".to_owned() });
    }

    #[test]
    fn nothing_else_is_passed_on() {
        let long = format!("/example.com/{}/@v/list", "a/".repeat(600));
        for path in [
            "",
            "/",
            "example.com/a/@v/list",
            "/example.com/a",
            "/example.com/a/@v/",
            "/example.com/a/@v/v1.0.0.exe",
            "/example.com/a/@v/v1.0.0",
            "/example.com/a/@v/main.zip",
            "/example.com/a/@v/v1.0.0.zip?x=y",
            "/example.com/a/@v/v1.0.0.zip#x",
            "/example.com/a/@v/../../x/@v/v1.0.0.zip",
            "/example.com/a/@v/v1/../x.zip",
            "/example.com/../a/@v/v1.0.0.zip",
            "/example.com/.git/@v/v1.0.0.zip",
            "/example.com//a/@v/list",
            "//example.com/a/@v/list",
            "/example.com/a%2f..%2fb/@v/list",
            "/example.com/A/@v/list",
            "/example.com/!A/@v/list",
            "/example.com/a!/@v/list",
            "/example.com/a b/@v/list",
            "/example.com:80/a/@v/list",
            "/user@example.com/a/@v/list",
            "/localhost/a/@v/list",
            "/fmt/@v/list",
            "/golang.org/toolchain/@v/v0.0.1-go1.99.0.linux-amd64.zip",
            "/sumdb/sum.golang.org/supported",
            "/sumdb/sum.golang.org/lookup/example.com/a@v1.0.0",
            "/http://example.com/a/@v/list",
            &long,
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
