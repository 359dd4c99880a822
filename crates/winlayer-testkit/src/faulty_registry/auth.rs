//! Who may pull: HTTP basic, or bearer tokens from a token endpoint (the registry token protocols by
//! GET with basic credentials and by POST with a refresh token).

use super::{
    State,
    http::{Answer, Request},
};

/// What credentials the registry demands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// None.
    #[default]
    None,
    /// HTTP basic on every request.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// A bearer token that anyone gets from the token endpoint.
    AnonymousToken,
    /// A bearer token for this user only.
    Token {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// A bearer token in exchange for this refresh ("identity") token only.
    RefreshToken(String),
}

/// 401 unless the request carries what is demanded.
pub(super) fn refusal(state: &State, request: &Request) -> Option<Answer> {
    let given = request.header("authorization").unwrap_or_default();
    let (allowed, challenge) = match &state.auth {
        Auth::None => return None,
        Auth::Basic { user, password } => (
            given == basic(user, password),
            "Basic realm=\"test\"".to_owned(),
        ),
        Auth::AnonymousToken | Auth::Token { .. } | Auth::RefreshToken(_) => {
            let token = given.strip_prefix("Bearer ").unwrap_or_default();
            let allowed = state.tokens.iter().any(|good| good == token);
            let name = repository(&request.path);
            let scope = name.map(|name| format!(",scope=\"repository:{name}:pull\""));
            let challenge = format!(
                "Bearer realm=\"http://{}/token\",service=\"test\"{}",
                state.addresses[0],
                scope.unwrap_or_default()
            );
            (allowed, challenge)
        }
    };
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    (!allowed).then(|| Answer::new(401, body).header("WWW-Authenticate", challenge))
}

/// The token endpoint's answer.
pub(super) fn give_token(state: &mut State, request: &Request) -> Answer {
    let given = request.header("authorization").unwrap_or_default();
    let allowed = match &state.auth {
        Auth::None | Auth::AnonymousToken => true,
        Auth::Basic { user, password } | Auth::Token { user, password } => {
            given == basic(user, password)
        }
        Auth::RefreshToken(token) => {
            let fields: Vec<_> = request.body.split('&').collect();
            request.method == "POST"
                && fields.contains(&"grant_type=refresh_token")
                && fields.contains(&format!("refresh_token={token}").as_str())
        }
    };
    if !allowed {
        return Answer::new(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#);
    }
    state.tokens_made += 1;
    let token = format!("token-{}", state.tokens_made);
    state.tokens.push(token.clone());
    // Docker's endpoint says "token", OAuth 2 says "access_token"; clients must take either.
    let name = if request.method == "POST" {
        "access_token"
    } else {
        "token"
    };
    Answer::new(200, format!(r#"{{"{name}":"{token}","expires_in":300}}"#))
        .header("Content-Type", "application/json")
}

/// NAME of `/v2/NAME/manifests/…` and `/v2/NAME/blobs/…`.
fn repository(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/v2/")?;
    let end = rest
        .rfind("/manifests/")
        .or_else(|| rest.rfind("/blobs/"))?;
    Some(&rest[..end])
}

pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

/// RFC 4648 section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for digit in 0..4 {
            if digit <= chunk.len() {
                text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    // The example of RFC 7617 section 2.
    #[test]
    fn basic_credentials_are_encoded_as_the_rfc_shows() {
        let header = super::basic("Aladdin", "open sesame");
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
