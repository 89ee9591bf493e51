//! The signed address of a tunnel through an EC2 Instance Connect Endpoint.
//!
//! The AWS CLI's protocol (`awscli/customizations/ec2instanceconnect/eicesigner.py`): a presigned GET of
//! `wss://HOST/openTunnel`, signed for the service `ec2-instance-connect`, good for one minute. No operation of an API, so no
//! client has it.
//!
//! assumed: that the service accepts what is signed here. The signatures are botocore's own, byte for byte (the tests below),
//! but no real endpoint has ever been asked.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;

use super::{Aws, Mode};
use crate::model::{Failure, FailureKind};

/// What the address is signed for.
const SERVICE: &str = "ec2-instance-connect";
/// How long it may be opened; a tunnel that is open stays so.
const GOOD_FOR: Duration = Duration::from_mins(1);

/// Where a tunnel leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The endpoint's `DnsName`, by `DescribeInstanceConnectEndpoints`.
    pub host: String,
    /// `eice-…`.
    pub endpoint: String,
    /// The instance's private address.
    pub address: IpAddr,
    pub port: u16,
    /// How long it may stay open: 1 to 3,600 seconds.
    pub longest: Duration,
}

impl Aws {
    /// The address of a tunnel, signed with the current credentials; to be opened within a minute. It is a secret.
    ///
    /// # Errors
    /// `NoCredentials` or `Expired` without usable credentials, `Refused` in the local region, which has no such endpoints.
    pub async fn tunnel_url(&self, tunnel: &Tunnel) -> Result<String, Failure> {
        if self.mode == Mode::Local {
            let what = "the local region has no EC2 Instance Connect Endpoints";
            return Err(Failure::new(FailureKind::Refused, what, "its instances have addresses on this machine"));
        }
        let none =
            |why: String| Failure::new(FailureKind::NoCredentials, why, "log in, e.g. by `aws sso login`, or set AWS_PROFILE");
        let provider = self.credentials.as_ref().ok_or_else(|| none("there are no AWS credentials".to_owned()))?;
        let found = provider.provide_credentials().await;
        let credentials = found.map_err(|error| none(format!("there are no usable AWS credentials: {error}")))?;
        url(tunnel, &self.region, credentials, SystemTime::now())
    }
}

fn url(tunnel: &Tunnel, region: &str, credentials: Credentials, now: SystemTime) -> Result<String, Failure> {
    let plain = format!(
        "wss://{}/openTunnel?instanceConnectEndpointId={}&maxTunnelDuration={}&privateIpAddress={}&remotePort={}",
        tunnel.host,
        encoded(&tunnel.endpoint),
        tunnel.longest.as_secs().clamp(1, 3600),
        encoded(&tunnel.address.to_string()),
        tunnel.port
    );
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(FailureKind::Invalid, format!("the tunnel's address cannot be signed: {error}"), "")
    };
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(GOOD_FOR);
    let identity = Identity::from(credentials);
    let parameters = v4::SigningParams::builder().identity(&identity).region(region).name(SERVICE).time(now).settings(settings);
    let parameters = parameters.build().map_err(|error| failed(&error))?.into();
    let headers = [("host", tunnel.host.as_str())].into_iter();
    let request = SignableRequest::new("GET", &plain, headers, SignableBody::Bytes(&[])).map_err(|error| failed(&error))?;
    let (instructions, _) = sign(request, &parameters).map_err(|error| failed(&error))?.into_parts();
    let signed = instructions.params().iter().map(|(name, value)| format!("&{name}={}", encoded(value)));
    Ok(signed.fold(plain, |url, parameter| url + &parameter))
}

/// As SigV4 encodes: all but letters, digits and `-._~`.
fn encoded(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel() -> Tunnel {
        Tunnel {
            host: "eice-0123456789abcdef0.abcd1234.ec2-instance-connect-endpoint.us-east-1.amazonaws.com".into(),
            endpoint: "eice-0123456789abcdef0".into(),
            address: "10.0.0.5".parse().unwrap(),
            port: 22,
            longest: Duration::from_hours(1),
        }
    }

    fn signed(token: Option<&str>) -> String {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let credentials = Credentials::new("AKIDEXAMPLE", secret, token.map(ToOwned::to_owned), None, "test");
        // 20260102T030405Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        url(&tunnel(), "us-east-1", credentials, now).unwrap()
    }

    /// Both signatures were made by botocore and by an HMAC implementation of its own, and were equal.
    #[test]
    fn the_signature_is_the_one_that_botocore_makes() {
        let url = signed(None);
        assert!(url.starts_with(
            "wss://eice-0123456789abcdef0.abcd1234.ec2-instance-connect-endpoint.us-east-1.amazonaws.com/openTunnel?"
        ));
        for part in [
            "instanceConnectEndpointId=eice-0123456789abcdef0",
            "remotePort=22",
            "privateIpAddress=10.0.0.5",
            "maxTunnelDuration=3600",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1%2Fec2-instance-connect%2Faws4_request",
            "X-Amz-Date=20260102T030405Z",
            "X-Amz-Expires=60",
            "X-Amz-SignedHeaders=host",
            "X-Amz-Signature=42e728e1f8a41e5298ab0267625a1b6e3c7ddcf860ecb8d160eadb0cb0e39caf",
        ] {
            assert!(url.split(['?', '&']).any(|there| there == part), "{part} in {url}");
        }
    }

    #[test]
    fn a_session_token_is_signed_too() {
        let url = signed(Some("TOKENEXAMPLE//=="));
        assert!(url.contains("X-Amz-Security-Token=TOKENEXAMPLE%2F%2F%3D%3D"), "{url}");
        assert!(url.contains("X-Amz-Signature=93e063bd1b14071f418f5003d0aa307207ea52763f30dbfb962349cd5b446b42"), "{url}");
    }

    #[test]
    fn an_address_of_the_next_protocol_is_encoded() {
        let six = Tunnel { address: "2001:db8::5".parse().unwrap(), ..tunnel() };
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        assert!(
            url(&six, "us-east-1", credentials, SystemTime::UNIX_EPOCH).unwrap().contains("privateIpAddress=2001%3Adb8%3A%3A5&")
        );
    }
}
