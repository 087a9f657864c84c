//! Credentials: keys in the environment, or else those that the container's endpoint hands out.

use nexus_aws::{AuthorizationToken, ContainerCredentials, CredentialsProvider, static_credentials};
use nexus_platform::ProductionPlatform;

use crate::failure::Failure;

const CONTAINER_RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const CONTAINER_FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
/// Where the agent of ECS answers.
const CONTAINER_AGENT: &str = "http://169.254.170.2";

/// Keys go before the container's endpoint, as in the SDKs' own order.
pub(crate) fn from_environment() -> Result<CredentialsProvider, Failure> {
    from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn from_variables(read: impl Fn(&'static str) -> Option<String>) -> Result<CredentialsProvider, Failure> {
    if read("AWS_ACCESS_KEY_ID").is_none()
        && let Some(url) = container_url(&read)
    {
        // Its file of the token lies anywhere.
        let platform = ProductionPlatform::new("credentials").disk_folder("/").build();
        let token = authorization_token(&read);
        let credentials = ContainerCredentials::new(&platform, &url, token)
            .map_err(|invalid| Failure::ContainerCredentials(invalid.to_string()))?;
        return Ok(CredentialsProvider::new(credentials));
    }
    let required = |name| read(name).ok_or(Failure::NoCredentials { variable: name });
    Ok(static_credentials(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        read("AWS_SESSION_TOKEN"),
    ))
}

fn container_url(read: impl Fn(&'static str) -> Option<String>) -> Option<String> {
    let relative = read(CONTAINER_RELATIVE_URI).map(|path| format!("{CONTAINER_AGENT}{path}"));
    relative.or_else(|| read(CONTAINER_FULL_URI))
}

/// The file goes first: unlike the variable, it is renewed.
fn authorization_token(read: impl Fn(&'static str) -> Option<String>) -> AuthorizationToken {
    if let Some(path) = read("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        return AuthorizationToken::File(path.trim_start_matches('/').to_owned());
    }
    read("AWS_CONTAINER_AUTHORIZATION_TOKEN").map_or(AuthorizationToken::None, AuthorizationToken::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "AKID");
    const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "secret");
    const RELATIVE: (&str, &str) = (CONTAINER_RELATIVE_URI, "/v2/credentials/1");
    const FULL: (&str, &str) = (CONTAINER_FULL_URI, "http://169.254.170.23/v1/credentials");

    fn reader(variables: &[(&'static str, &str)]) -> impl Fn(&'static str) -> Option<String> {
        move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn keys_go_first_and_must_be_whole() {
        for (variables, missing) in [
            (&[KEY, SECRET][..], None),
            (&[KEY, SECRET, RELATIVE], None),
            (&[RELATIVE], None),
            (&[FULL], None),
            (&[], Some("AWS_ACCESS_KEY_ID")),
            (&[KEY], Some("AWS_SECRET_ACCESS_KEY")),
            (&[KEY, FULL], Some("AWS_SECRET_ACCESS_KEY")),
        ] {
            let found = match from_variables(reader(variables)) {
                Ok(_) => None,
                Err(Failure::NoCredentials { variable }) => Some(variable),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, missing, "{variables:?}");
        }
        let stranger = [(CONTAINER_FULL_URI, "http://example.com/credentials")];
        assert!(matches!(from_variables(reader(&stranger)), Err(Failure::ContainerCredentials(_))));
    }

    #[test]
    fn the_agent_of_ecs_and_the_file_of_the_token_go_first() {
        let url = |variables: &[(&'static str, &str)]| container_url(reader(variables));
        assert_eq!(url(&[FULL, RELATIVE]).as_deref(), Some("http://169.254.170.2/v2/credentials/1"));
        assert_eq!(url(&[FULL]).as_deref(), Some(FULL.1));
        assert_eq!(url(&[]), None);
        let text = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token");
        let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/secrets/token");
        let token = |variables: &[(&'static str, &str)]| authorization_token(reader(variables));
        assert_eq!(token(&[text, file]), AuthorizationToken::File("var/run/secrets/token".to_owned()));
        assert_eq!(token(&[text]), AuthorizationToken::Text("token".to_owned()));
        assert_eq!(token(&[]), AuthorizationToken::None);
    }
}
