//! S3: its settings, and explicitly given credentials.

use crate::object_errors::io_error;
use crate::options::RemoteOptions;
use object_store::StaticCredentialProvider;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use std::ffi::OsString;
use std::io;
use std::sync::Arc;

/// The settings of the addresses of metadata services.
const METADATA: [&str; 5] = [
    "aws_container_authorization_token_file",
    "aws_container_credentials_full_uri",
    "aws_container_credentials_relative_uri",
    "aws_imdsv1_fallback",
    "aws_metadata_endpoint",
];

/// Settings of the environment that have no effect if another one is given, which they would override: the
/// session token is that of the keys, and there is one identity.
const OVERRIDDEN: [(AmazonS3ConfigKey, AmazonS3ConfigKey); 9] = [
    (AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint),
    (AmazonS3ConfigKey::DefaultRegion, AmazonS3ConfigKey::DefaultRegion),
    (AmazonS3ConfigKey::Region, AmazonS3ConfigKey::DefaultRegion),
    (AmazonS3ConfigKey::Token, AmazonS3ConfigKey::AccessKeyId),
    (AmazonS3ConfigKey::SkipSignature, AmazonS3ConfigKey::AccessKeyId),
    (AmazonS3ConfigKey::AccessKeyId, AmazonS3ConfigKey::WebIdentityTokenFile),
    (AmazonS3ConfigKey::SecretAccessKey, AmazonS3ConfigKey::WebIdentityTokenFile),
    (AmazonS3ConfigKey::Token, AmazonS3ConfigKey::WebIdentityTokenFile),
    (AmazonS3ConfigKey::SkipSignature, AmazonS3ConfigKey::WebIdentityTokenFile),
];

const NO_CREDENTIALS: &str = "no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
    AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, or AWS_SKIP_SIGNATURE=true for a public bucket; profiles \
    are not read, and metadata services are not used";

/// Returns the builder of a store, from the variables of an environment that are not empty, and the
/// settings. Fails if no credentials are given: without them, the library would ask the metadata service of
/// the machine.
pub(crate) fn builder(
    options: &RemoteOptions,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> io::Result<AmazonS3Builder> {
    if let Some((name, _)) = options.settings_of(&["fs.s3"]).next() {
        return Err(invalid(&format!("unknown setting {name}: those of S3 begin with aws_")));
    }
    let mut given = Vec::new();
    for (name, value) in options.settings_of(&["aws_"]) {
        if METADATA.contains(&name) {
            return Err(invalid(&format!("{name} is refused: metadata services are not used")));
        }
        let key: AmazonS3ConfigKey = name.parse().map_err(|error| io_error(&error))?;
        given.push((key, value));
    }
    let is_given = |key: &AmazonS3ConfigKey| given.iter().any(|(found, _)| found == key);
    let mut builder = AmazonS3Builder::new();
    for (name, value) in environment {
        // Variables of other programs also begin with this.
        if let Some(name) = name.to_str().filter(|name| name.starts_with("AWS_") && !value.is_empty())
            && let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>()
            && !OVERRIDDEN.iter().any(|(variable, by)| *variable == key && is_given(by))
        {
            let value = value.to_str().ok_or_else(|| invalid(&format!("{name} is not UTF-8")))?;
            builder = builder.with_config(key, value);
        }
    }
    for (key, value) in given {
        builder = builder.with_config(key, value);
    }
    with_credentials(builder)
}

fn with_credentials(builder: AmazonS3Builder) -> io::Result<AmazonS3Builder> {
    let given = |key| builder.get_config_value(&key).filter(|value| !value.is_empty());
    let is_anonymous = given(AmazonS3ConfigKey::SkipSignature)
        .is_some_and(|value| ["1", "true", "on", "yes", "y"].contains(&&*value.to_ascii_lowercase()));
    let (key_id, secret_key) =
        (given(AmazonS3ConfigKey::AccessKeyId), given(AmazonS3ConfigKey::SecretAccessKey));
    let credential = match (key_id, secret_key) {
        // Not used, because nothing is signed; but without it, the library searches for credentials.
        _ if is_anonymous => AwsCredential { key_id: String::new(), secret_key: String::new(), token: None },
        (Some(key_id), Some(secret_key)) => {
            AwsCredential { key_id, secret_key, token: given(AmazonS3ConfigKey::Token) }
        }
        (Some(_), None) => return Err(invalid("AWS_ACCESS_KEY_ID without AWS_SECRET_ACCESS_KEY")),
        (None, Some(_)) => return Err(invalid("AWS_SECRET_ACCESS_KEY without AWS_ACCESS_KEY_ID")),
        (None, None) => {
            let file = given(AmazonS3ConfigKey::WebIdentityTokenFile);
            // With both, and without keys, the library asks the token service for credentials.
            return match (file, given(AmazonS3ConfigKey::RoleArn)) {
                (Some(_), Some(_)) => Ok(builder),
                _ => Err(invalid(NO_CREDENTIALS)),
            };
        }
    };
    Ok(builder.with_credentials(Arc::new(StaticCredentialProvider::new(credential))))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(variables: &[(&str, &str)], settings: &[(&str, &str)]) -> Result<String, String> {
        let options =
            settings.iter().fold(RemoteOptions::default(), |all, (name, value)| all.setting(*name, *value));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let builder = builder(&options, environment).map_err(|error| error.to_string())?;
        let store = builder.with_bucket_name("b").build().map_err(|error| error.to_string())?;
        Ok(format!("{:?}", store.credentials()))
    }

    #[test]
    fn without_named_credentials_there_is_no_store() {
        let token = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t");
        let nothing: [&[(&str, &str)]; 8] = [
            &[],
            &[("AWS_PROFILE", "p"), ("AWS_REGION", "r")],
            &[("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")],
            &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c")],
            &[
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9"),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t"),
            ],
            &[token],
            &[("AWS_ROLE_ARN", "arn"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "")],
            &[("AWS_SKIP_SIGNATURE", "false"), ("AWS_ACCESS_KEY_ID", "")],
        ];
        for variables in nothing {
            assert_eq!(built(variables, &[]), Err(NO_CREDENTIALS.to_owned()), "{variables:?}");
        }
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            let error = built(&[(name, "k"), token, ("AWS_ROLE_ARN", "arn")], &[]).unwrap_err();
            assert!(
                error.contains("AWS_ACCESS_KEY_ID") && error.contains("AWS_SECRET_ACCESS_KEY"),
                "{error}"
            );
        }
        for name in METADATA {
            let keys = [("aws_access_key_id", "k"), ("aws_secret_access_key", "s"), (name, "true")];
            assert!(built(&[], &keys).unwrap_err().contains(name));
        }
    }

    #[test]
    fn named_credentials_are_all_that_is_used() {
        let keys = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let metadata = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c");
        let roles = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn")];
        let with_metadata = |given: &[(&'static str, &'static str)]| {
            let all: Vec<_> = given.iter().copied().chain([metadata]).collect();
            built(&all, &[]).unwrap()
        };
        assert!(with_metadata(&keys).starts_with("StaticCredentialProvider"));
        assert!(with_metadata(&[("AWS_SKIP_SIGNATURE", "true")]).starts_with("StaticCredentialProvider"));
        assert!(with_metadata(&roles).contains("WebIdentityProvider"));
        let given_roles = roles.map(|(name, value)| (name.to_ascii_lowercase(), value));
        let given_roles: Vec<_> = given_roles.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        for variables in [&keys[..], &[("AWS_SKIP_SIGNATURE", "true")]] {
            let found = built(variables, &given_roles).unwrap();
            assert!(found.contains("WebIdentityProvider"), "settings override {variables:?}: {found}");
        }
        let setting = ("aws_skip_signature", "TRUE");
        assert!(built(&[metadata], &[setting]).unwrap().starts_with("StaticCredentialProvider"));
        assert!(built(&keys, &[("aws_skip_signature", "perhaps")]).is_err());
        assert!(built(&keys, &[("aws_colour", "red")]).unwrap_err().contains("aws_colour"));
        // Otherwise another server would be asked than by Hadoop.
        let of_hadoop = built(&keys, &[("fs.s3a.endpoint", "http://h")]).unwrap_err();
        assert!(of_hadoop.contains("fs.s3a.endpoint") && of_hadoop.contains("aws_"), "{of_hadoop}");
        assert!(built(&keys, &[("fs.defaultFS", "hdfs://ns")]).is_ok());
    }

    /// Otherwise another server would be asked, or a token sent with keys that it does not belong to.
    #[test]
    fn settings_override_variables_and_empty_variables_are_not_set() {
        use AmazonS3ConfigKey::{Endpoint, Region, S3Endpoint, Token};
        let of = |variables: &[(&str, &str)], settings: &[(&str, &str)]| {
            let keys = [("aws_access_key_id", "k"), ("aws_secret_access_key", "s")];
            let set = |all: RemoteOptions, (name, value): &(&str, &str)| all.setting(*name, *value);
            let options = keys.iter().chain(settings).fold(RemoteOptions::default(), set);
            let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
            let builder = builder(&options, environment).unwrap();
            [Endpoint, S3Endpoint, Region, Token]
                .map(|key| builder.get_config_value(&key).unwrap_or_default())
        };
        let variables =
            [("AWS_ENDPOINT_URL_S3", "http://variable"), ("AWS_REGION", "v"), ("AWS_SESSION_TOKEN", "v")];
        assert_eq!(of(&variables, &[]), ["", "http://variable", "v", ""]);
        assert_eq!(of(&[("AWS_DEFAULT_REGION", "v")], &[("aws_default_region", "g")]), ["", "", "g", ""]);
        let settings = [("aws_endpoint", "http://given"), ("aws_default_region", "g")];
        assert_eq!(of(&variables, &settings), ["http://given", "", "g", ""]);
        let empty = [("AWS_ENDPOINT", ""), ("AWS_ENDPOINT_URL_S3", ""), ("AWS_REGION", "")];
        assert_eq!(of(&empty, &settings[..1]), ["http://given", "", "", ""]);
        assert_eq!(built(&[("AWS_ALLOW_HTTP", ""), ("AWS_SKIP_SIGNATURE", "true")], &[]).map(drop), Ok(()));
    }

    /// Without the endpoint that it names, another server would be asked.
    #[cfg(unix)]
    #[test]
    fn variables_that_are_not_text_are_not_passed_over() {
        use std::os::unix::ffi::OsStringExt as _;
        let of = |name: &str| {
            let wrong = OsString::from_vec(b"http://\xff".to_vec());
            let anonymous = (OsString::from("AWS_SKIP_SIGNATURE"), OsString::from("true"));
            let all = [anonymous, (OsString::from(name), wrong)];
            builder(&RemoteOptions::default(), all).map(drop).map_err(|error| error.to_string())
        };
        for name in ["AWS_ENDPOINT", "AWS_SESSION_TOKEN", "AWS_REGION"] {
            assert_eq!(of(name), Err(format!("{name} is not UTF-8")));
        }
        for name in ["AWS_OF_ANOTHER_PROGRAM", "PATH"] {
            assert_eq!(of(name), Ok(()), "{name}");
        }
    }
}
