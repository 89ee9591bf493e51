//! AWS's published test suite (aws-sig-v4-test-suite: key AKIDEXAMPLE, 20150830T123600Z, us-east-1, service `service`),
//! and the examples of the S3 API Reference.

use super::*;

const NOW: i64 = 1_440_938_160;
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn suite() -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
    }
}

const SCOPE: Scope<'static> = Scope { region: "us-east-1", services: &["service"] };

fn request(method: &str, target: &str, headers: &[(&str, &str)], signed: &str, signature: &str) -> Parts {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={signed}, Signature={signature}"
    );
    let mut builder = http::Request::builder()
        .method(method)
        .uri(target)
        .header("host", "example.amazonaws.com")
        .header("x-amz-date", "20150830T123600Z")
        .header("authorization", authorization);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

fn verify(parts: &Parts, payload: &str) -> Result<(), Refusal> {
    Claim::read(parts)?.verify(parts, &suite(), SCOPE, payload, NOW)
}

/// Name, method, target, headers, names of the signed headers, signature.
type Vector = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

#[test]
fn the_published_vectors_verify() {
    let plain = "host;x-amz-date";
    let own = "host;my-header1;x-amz-date";
    let cases: &[Vector] = &[
        ("get-vanilla", "GET", "/", &[], plain, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "get-vanilla-query-order-key-case",
            "GET",
            "/?Param2=value2&Param1=value1",
            &[],
            plain,
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-unreserved",
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            &[],
            plain,
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        ("get-relative", "GET", "/example/..", &[], plain, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("get-slashes", "GET", "//example//", &[], plain, "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
        (
            "get-slash-pointless-dot",
            "GET",
            "/./example",
            &[],
            plain,
            "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
        ),
        ("post-vanilla", "POST", "/", &[], plain, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "get-header-value-trim",
            "GET",
            "/",
            &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "get-header-value-order",
            "GET",
            "/",
            &[("my-header1", "value4"), ("my-header1", "value1"), ("my-header1", "value3"), ("my-header1", "value2")],
            own,
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        ),
    ];
    for (name, method, target, headers, signed, signature) in cases {
        let parts = request(method, target, headers, signed, signature);
        assert_eq!(verify(&parts, EMPTY), Ok(()), "{name}");
        let changed = request(method, &format!("{target}x"), headers, signed, signature);
        assert_eq!(verify(&changed, EMPTY), Err(Refusal::Mismatch), "{name} with another target");
    }
}

#[test]
fn the_examples_of_s3_verify_in_both_forms() {
    let credentials = Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
    };
    let scope = Scope { region: "us-east-1", services: &["s3"] };
    let now = 1_369_353_600;
    let get = http::Request::builder()
        .uri("/test.txt")
        .header("host", "examplebucket.s3.amazonaws.com")
        .header("range", "bytes=0-9")
        .header("x-amz-content-sha256", EMPTY)
        .header("x-amz-date", "20130524T000000Z")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    assert_eq!(Claim::read(&get).unwrap().verify(&get, &credentials, scope, EMPTY, now), Ok(()));
    let link = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let link =
        http::Request::builder().uri(link).header("host", "examplebucket.s3.amazonaws.com").body(()).unwrap().into_parts().0;
    let claim = Claim::read(&link).unwrap();
    assert_eq!(claim.verify(&link, &credentials, scope, "UNSIGNED-PAYLOAD", now), Ok(()));
    assert_eq!(claim.verify(&link, &credentials, scope, "UNSIGNED-PAYLOAD", now + 86_400), Ok(()));
    assert_eq!(claim.verify(&link, &credentials, scope, "UNSIGNED-PAYLOAD", now + 86_401), Err(Refusal::Expired));
    assert_eq!(
        claim.verify(&link, &credentials, scope, "UNSIGNED-PAYLOAD", now - 901),
        Err(Refusal::Skewed("20130524T000000Z".to_owned()))
    );
}

#[test]
fn each_thing_that_can_be_wrong_is_told_apart() {
    let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    let parts = request("GET", "/", &[], "host;x-amz-date", signature);
    let claim = Claim::read(&parts).unwrap();
    let other = Credentials { access_key_id: "AKIDEXAMPLF".to_owned(), ..suite() };
    assert_eq!(claim.verify(&parts, &other, SCOPE, EMPTY, NOW), Err(Refusal::UnknownKey));
    let other = Credentials { secret_access_key: "x".to_owned(), ..suite() };
    assert_eq!(claim.verify(&parts, &other, SCOPE, EMPTY, NOW), Err(Refusal::Mismatch));
    assert_eq!(claim.verify(&parts, &suite(), SCOPE, "other", NOW), Err(Refusal::Mismatch));
    assert_eq!(claim.verify(&parts, &suite(), SCOPE, EMPTY, NOW + 899), Ok(()));
    assert_eq!(claim.verify(&parts, &suite(), SCOPE, EMPTY, NOW + 901), Err(Refusal::Skewed("20150830T123600Z".to_owned())));
    assert_eq!(claim.verify(&parts, &suite(), SCOPE, EMPTY, NOW - 901), Err(Refusal::Skewed("20150830T123600Z".to_owned())));
    let elsewhere = Scope { region: "eu-west-1", ..SCOPE };
    assert_eq!(claim.verify(&parts, &suite(), elsewhere, EMPTY, NOW), Err(Refusal::WrongRegion("us-east-1".to_owned())));
    let service = Scope { services: &["s3"], ..SCOPE };
    assert_eq!(claim.verify(&parts, &suite(), service, EMPTY, NOW), Err(Refusal::WrongService("service".to_owned())));
    let sneaked = request("GET", "/", &[("x-amz-security-token", "t")], "host;x-amz-date", signature);
    assert_eq!(verify(&sneaked, EMPTY), Err(Refusal::Unsigned("x-amz-security-token".to_owned())));
    let hostless = request("GET", "/", &[], "x-amz-date", signature);
    assert_eq!(verify(&hostless, EMPTY), Err(Refusal::Unsigned("host".to_owned())));
    let twice = request("GET", "/", &[("authorization", "AWS4-HMAC-SHA256 x")], "host;x-amz-date", signature);
    assert!(matches!(Claim::read(&twice), Err(Refusal::Malformed(_))));
    let unsigned = http::Request::builder().uri("/").body(()).unwrap().into_parts().0;
    assert_eq!(Claim::read(&unsigned).unwrap_err(), Refusal::Missing);
    let yesterday = http::Request::builder()
        .uri("/")
        .header("x-amz-date", "20150830T123600Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=a/20150829/us-east-1/s/aws4_request, SignedHeaders=host, Signature=d",
        )
        .body(())
        .unwrap()
        .into_parts()
        .0;
    let expected = Refusal::WrongDay { day: "20150829".to_owned(), date: "20150830T123600Z".to_owned() };
    assert_eq!(Claim::read(&yesterday).unwrap_err(), expected);
    for broken in [
        "",
        "AWS4-HMAC-SHA256",
        "Basic YTpi",
        "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=d",
        "AWS4-HMAC-SHA256 Credential=a/20150830/us-east-1/s/aws4_request, SignedHeaders=Host, Signature=d",
    ] {
        let parts = http::Request::builder()
            .uri("/")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", broken)
            .body(())
            .unwrap()
            .into_parts()
            .0;
        assert!(matches!(Claim::read(&parts), Err(Refusal::Malformed(_))), "{broken}");
    }
}
