//! Names as registries take them, and the repository of a function.

const LONGEST: usize = 40;

/// Lower case, everything but letters and digits becomes one `-`, cut to 40, without `-` at the ends.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(LONGEST);
    slug.trim_end_matches('-').to_owned()
}

/// The first 8 characters of an id.
#[must_use]
pub fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// `<slug of the registry namespace>/<slug of the function>-<first 8 of its id>`.
#[must_use]
pub fn repository(registry_slug: &str, function_name: &str, function_id: &str) -> String {
    format!("{registry_slug}/{}-{}", slug(function_name), short(function_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_what_registries_take() {
        assert_eq!(slug("My_Name--is"), "my-name-is");
        assert_eq!(slug("a-"), "a");
        assert_eq!(slug(&"x".repeat(63)), "x".repeat(40));
        assert_eq!(slug(&format!("{}-b", "x".repeat(39))), "x".repeat(39));
        assert_eq!(repository("ns", "Hello_World", "0123456789"), "ns/hello-world-01234567");
    }
}
