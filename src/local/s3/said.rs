//! What a request says of an object or a part, taken out of it. (Macros: each operation's input is a type of its own, with
//! fields of the same names.)

/// The checksums that the sender gives as headers.
macro_rules! claimed {
    ($input:ident) => {
        s3s::dto::Checksum {
            checksum_crc32: $input.checksum_crc32,
            checksum_crc32c: $input.checksum_crc32c,
            checksum_crc64nvme: $input.checksum_crc64nvme,
            checksum_sha1: $input.checksum_sha1,
            checksum_sha256: $input.checksum_sha256,
            checksum_type: None,
        }
    };
}

/// What is to be remembered of a new object.
macro_rules! facts {
    ($input:ident, $tags:ident, $storage_class:ident) => {
        $crate::local::buckets::Facts {
            content_type: Some($input.content_type.unwrap_or_else(|| $crate::local::s3::object::PLAIN_TYPE.to_owned())),
            content_encoding: $crate::local::s3::object::kept_encoding($input.content_encoding),
            content_disposition: $input.content_disposition,
            content_language: $input.content_language,
            cache_control: $input.cache_control,
            expires: $input.expires.as_ref().and_then($crate::local::s3::object::http_date),
            redirect: $input.website_redirect_location,
            metadata: $input.metadata.unwrap_or_default().into_iter().collect(),
            encryption: $input.server_side_encryption.map(|encryption| encryption.as_str().to_owned()),
            kms_key: $input.ssekms_key_id,
            tags: $tags,
            storage_class: $storage_class,
            ..$crate::local::buckets::Facts::default()
        }
    };
}
