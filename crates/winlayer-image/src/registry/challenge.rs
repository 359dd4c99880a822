//! `WWW-Authenticate` (RFC 9110, 11.6.1): what a registry wants to see.

/// One way to authenticate a registry offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Lower case: `basic`, `bearer`.
    pub(super) scheme: String,
    /// Names in lower case.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The challenges of one header value. What cannot be understood is left out.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let end = rest.find([',', ' ', '\t', '=', '"']).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if word.is_empty() {
            return challenges;
        }
        match (
            after.trim_start_matches([' ', '\t']).strip_prefix('='),
            challenges.last_mut(),
        ) {
            (Some(value), Some(challenge)) => {
                let (value, after) = take_value(value.trim_start_matches([' ', '\t']));
                challenge
                    .parameters
                    .push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            (Some(_), None) => return challenges,
            (None, _) => {
                challenges.push(Challenge {
                    scheme: word.to_ascii_lowercase(),
                    parameters: Vec::new(),
                });
                rest = after;
            }
        }
    }
}

/// What holds for the challenges of any header.
#[cfg(any(test, fuzzing))]
pub(crate) fn check(header: &str) {
    for challenge in parse(header) {
        assert!(!challenge.scheme.is_empty());
        assert_eq!(challenge.scheme, challenge.scheme.to_ascii_lowercase());
        for (name, _) in &challenge.parameters {
            assert!(!name.is_empty() && challenge.parameter(name).is_some());
        }
    }
}

/// A token or quoted string, and what follows it.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end).unwrap_or((text, ""));
        return (value.to_owned(), after);
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            other => value.push(other),
        }
    }
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bearer_challenges_of_real_registries_are_understood() {
        let header = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        let [challenge] = &parse(header)[..] else {
            panic!()
        };
        assert_eq!(challenge.scheme, "bearer");
        assert_eq!(
            challenge.parameter("realm"),
            Some("https://auth.example/token")
        );
        assert_eq!(
            challenge.parameter("scope"),
            Some("repository:a/b:pull,push")
        );
        assert_eq!(challenge.parameter("error"), None);
    }

    #[test]
    fn several_challenges_may_share_a_header() {
        let challenges = parse(r#"Negotiate, basic Realm = "a \"b\"" , BEARER realm=x, service=y"#);
        assert_eq!(
            challenges
                .iter()
                .map(|c| c.scheme.as_str())
                .collect::<Vec<_>>(),
            ["negotiate", "basic", "bearer"]
        );
        assert_eq!(challenges[1].parameter("realm"), Some("a \"b\""));
        assert_eq!(challenges[2].parameter("service"), Some("y"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,60}", odd in "[ ,=\"\\\\a]{0,30}") {
            let _ = (parse(&text), parse(&odd));
        }

        #[test]
        fn quoted_values_come_back_as_they_were(value in "[ -~]{0,30}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let challenges = parse(&format!("Bearer realm=\"{quoted}\",service=s"));
            prop_assert_eq!(challenges[0].parameter("realm"), Some(value.as_str()));
            prop_assert_eq!(challenges[0].parameter("service"), Some("s"));
        }
    }
}
