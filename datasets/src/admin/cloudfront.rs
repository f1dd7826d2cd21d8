//! A CloudFormation template: a distribution that reads originals with an origin access control, so that the bucket stays closed.

use serde_json::{Value, json};

use super::Wishes;

/// `CachingOptimized`, `CORS-S3Origin` and `SimpleCORS` in the list of managed policies of the CloudFront developer guide.
const CACHE_POLICY: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
const ORIGIN_REQUEST_POLICY: &str = "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf";
const RESPONSE_HEADERS_POLICY: &str = "60669652-455b-4ae9-85a4-c4c02393f86c";

/// The template. The bucket's policy is not in it, because a template would replace what others have written there.
pub(super) fn template(wishes: &Wishes) -> Value {
    let bucket = &wishes.place.bucket;
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("CloudFront distribution that serves recordings of the bucket {bucket}"),
        "Parameters": {
            "KeyGroupId": {
                "Type": "String",
                "Default": "",
                "Description": "Key group that signs URLs; without one everybody who knows a URL can read it",
            },
        },
        "Conditions": { "IsSigned": { "Fn::Not": [{ "Fn::Equals": [{ "Ref": "KeyGroupId" }, ""] }] } },
        "Resources": {
            "OriginAccessControl": {
                "Type": "AWS::CloudFront::OriginAccessControl",
                "Properties": {
                    "OriginAccessControlConfig": {
                        "Name": format!("ecosight-{bucket}").chars().take(64).collect::<String>(),
                        "OriginAccessControlOriginType": "s3",
                        "SigningBehavior": "always",
                        "SigningProtocol": "sigv4",
                    },
                },
            },
            "Distribution": {
                "Type": "AWS::CloudFront::Distribution",
                "Properties": { "DistributionConfig": distribution(wishes) },
            },
        },
        "Outputs": {
            "Domain": { "Description": "Value of CLOUDFRONT_DOMAIN", "Value": { "Fn::GetAtt": ["Distribution", "DomainName"] } },
            "Arn": {
                "Description": "Value of `ecosight storage setup --distribution`",
                "Value": { "Fn::Sub": "arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Distribution}" },
            },
        },
    })
}

fn distribution(wishes: &Wishes) -> Value {
    let place = &wishes.place;
    let suffix = if wishes.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    json!({
        "Enabled": true,
        "Comment": format!("recordings in {}", place.bucket),
        "HttpVersion": "http2and3",
        "Origins": [{
            "Id": "bucket",
            "DomainName": format!("{}.s3.{}.{suffix}", place.bucket, wishes.region),
            "OriginAccessControlId": { "Fn::GetAtt": ["OriginAccessControl", "Id"] },
            // Required with an origin access control, and empty.
            "S3OriginConfig": { "OriginAccessIdentity": "" },
        }],
        "DefaultCacheBehavior": {
            "TargetOriginId": "bucket",
            "ViewerProtocolPolicy": "redirect-to-https",
            "AllowedMethods": ["GET", "HEAD", "OPTIONS"],
            "Compress": false,
            "CachePolicyId": CACHE_POLICY,
            "OriginRequestPolicyId": ORIGIN_REQUEST_POLICY,
            "ResponseHeadersPolicyId": RESPONSE_HEADERS_POLICY,
            "TrustedKeyGroups": { "Fn::If": ["IsSigned", [{ "Ref": "KeyGroupId" }], { "Ref": "AWS::NoValue" }] },
        },
    })
}
