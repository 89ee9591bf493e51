//! What belongs to the default network and never changes: its gateway, routes, access list, DHCP options and attributes; and the
//! account's (VPC User Guide, "Default VPCs"). Nothing of it carries packets here.

use serde_json::{Value, json};

use super::Ec2;
use super::filter::pass;
use super::ids::{ACL, ADDRESS, DHCP, GATEWAY, PEERING, RESERVATION, ROUTES, Refusals, VPC, fixed};
use super::place::{Place, ZONES, asked};
use super::wanted::{Limits, invalid, page, texts};
use crate::local::ACCOUNT;
use crate::local::fault::Fault;

const PAGES: Limits = Limits { least: 5, most: 1000, ids: "" };

/// One of a kind: what it is asked by, and where an answer has it.
struct One {
    operation: &'static str,
    /// The member with ids of the request.
    ids: &'static str,
    /// The member of a document with its id.
    id: &'static str,
    /// The member of the answer.
    list: &'static str,
    refusals: Refusals,
}

impl Place {
    fn gateway(&self) -> String {
        fixed("igw", &self.region)
    }

    fn routes(&self) -> String {
        fixed("rtb", &self.region)
    }

    fn access_list(&self) -> String {
        fixed("acl", &self.region)
    }

    /// The DHCP options of the default network.
    #[must_use]
    pub fn dhcp(&self) -> String {
        fixed("dopt", &self.region)
    }
}

/// How an id of this network's resources is refused, and whether it is one of them.
#[must_use]
pub fn taggable(place: &Place, id: &str) -> (Refusals, bool) {
    match id.split('-').next() {
        Some("igw") => (GATEWAY, place.gateway() == id),
        Some("rtb") => (ROUTES, place.routes() == id),
        Some("acl") => (ACL, place.access_list() == id),
        _ => (DHCP, place.dhcp() == id),
    }
}

/// `DescribeInternetGateways`.
///
/// # Errors
/// `InvalidInternetGatewayID.NotFound`, and for wrong filters and pages.
pub fn gateways(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let document = json!({
        "Attachments": [{"State": "available", "VpcId": ec2.place.vpc()}],
        "InternetGatewayId": ec2.place.gateway(),
        "OwnerId": ACCOUNT,
        "Tags": [],
    });
    one(
        ec2,
        request,
        &One {
            operation: "DescribeInternetGateways",
            ids: "InternetGatewayIds",
            id: "InternetGatewayId",
            list: "InternetGateways",
            refusals: GATEWAY,
        },
        document,
    )
}

/// `DescribeRouteTables`: the main one, which all subnets use without being associated with it by name.
///
/// # Errors
/// `InvalidRouteTableID.NotFound`, and for wrong filters and pages.
pub fn route_tables(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let place = &ec2.place;
    let document = json!({
        "Associations": [{
            "Main": true,
            "RouteTableAssociationId": fixed("rtbassoc", &place.region),
            "RouteTableId": place.routes(),
            "AssociationState": {"State": "associated"},
        }],
        "PropagatingVgws": [],
        "RouteTableId": place.routes(),
        "Routes": [
            {"DestinationCidrBlock": "172.31.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"},
            {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": place.gateway(), "Origin": "CreateRoute", "State": "active"},
        ],
        "Tags": [],
        "VpcId": place.vpc(),
        "OwnerId": ACCOUNT,
    });
    one(
        ec2,
        request,
        &One {
            operation: "DescribeRouteTables",
            ids: "RouteTableIds",
            id: "RouteTableId",
            list: "RouteTables",
            refusals: ROUTES,
        },
        document,
    )
}

/// `DescribeNetworkAcls`: the default one, which lets everything through.
///
/// # Errors
/// `InvalidNetworkAclID.NotFound`, and for wrong filters and pages.
pub fn access_lists(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let place = &ec2.place;
    let entry = |egress: bool, number: i64| {
        let action = if number == 100 { "allow" } else { "deny" };
        json!({"CidrBlock": "0.0.0.0/0", "Egress": egress, "Protocol": "-1", "RuleAction": action, "RuleNumber": number})
    };
    let associations = ZONES.into_iter().map(|letter| {
        json!({
            "NetworkAclAssociationId": fixed("aclassoc", &place.zone(letter)),
            "NetworkAclId": place.access_list(),
            "SubnetId": place.subnet(letter),
        })
    });
    let document = json!({
        "Associations": associations.collect::<Vec<_>>(),
        // The last is the one with `*` for its number.
        "Entries": [entry(true, 100), entry(true, 32_767), entry(false, 100), entry(false, 32_767)],
        "IsDefault": true,
        "NetworkAclId": place.access_list(),
        "Tags": [],
        "VpcId": place.vpc(),
        "OwnerId": ACCOUNT,
    });
    one(
        ec2,
        request,
        &One { operation: "DescribeNetworkAcls", ids: "NetworkAclIds", id: "NetworkAclId", list: "NetworkAcls", refusals: ACL },
        document,
    )
}

/// `DescribeDhcpOptions`: what the default network tells its instances.
///
/// # Errors
/// `InvalidDhcpOptionID.NotFound`, and for wrong filters and pages.
pub fn dhcp_options(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let region = &ec2.place.region;
    let domain = if region == "us-east-1" { "ec2.internal".to_owned() } else { format!("{region}.compute.internal") };
    let document = json!({
        "OwnerId": ACCOUNT,
        "Tags": [],
        "DhcpOptionsId": ec2.place.dhcp(),
        "DhcpConfigurations": [
            {"Key": "domain-name", "Values": [{"Value": domain}]},
            {"Key": "domain-name-servers", "Values": [{"Value": "AmazonProvidedDNS"}]},
        ],
    });
    one(
        ec2,
        request,
        &One {
            operation: "DescribeDhcpOptions",
            ids: "DhcpOptionsIds",
            id: "DhcpOptionsId",
            list: "DhcpOptions",
            refusals: DHCP,
        },
        document,
    )
}

fn one(ec2: &Ec2, request: &Value, what: &One, mut document: Value) -> Result<Value, Fault> {
    let id = document[what.id].as_str().unwrap_or_default().to_owned();
    asked(request, what.ids, what.refusals, &[id.as_str()])?;
    ec2.tagged(&mut document, &id);
    let found = pass(what.operation, request, vec![document])?;
    page(request, PAGES, what.list, found.into_iter().map(|document| (id.clone(), document)).collect())
}

/// `DescribeVpcAttribute`.
///
/// # Errors
/// `InvalidVpcID.NotFound`.
pub fn attribute(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let vpc = ec2.place.vpc();
    asked(&json!({"VpcIds": [request["VpcId"]]}), "VpcIds", VPC, &[vpc.as_str()])?;
    let (member, on) = match request["Attribute"].as_str() {
        Some("enableDnsSupport") => ("EnableDnsSupport", true),
        Some("enableDnsHostnames") => ("EnableDnsHostnames", true),
        _ => ("EnableNetworkAddressUsageMetrics", false),
    };
    Ok(json!({"VpcId": vpc, member: {"Value": on}}))
}

/// `DescribeAccountAttributes`.
#[must_use]
pub fn account(ec2: &Ec2, request: &Value) -> Value {
    let wanted = texts(request, "AttributeNames");
    let all = [
        ("supported-platforms", "VPC".to_owned()),
        ("vpc-max-security-groups-per-interface", "5".to_owned()),
        ("max-elastic-ips", "5".to_owned()),
        ("max-instances", "20".to_owned()),
        ("vpc-max-elastic-ips", "5".to_owned()),
        ("default-vpc", ec2.place.vpc()),
    ];
    let shown = all.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    let shown = shown.map(|(name, value)| json!({"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]}));
    json!({"AccountAttributes": shown.collect::<Vec<_>>()})
}

/// `DescribeAddresses`: there are no elastic ones.
///
/// # Errors
/// `InvalidAddress.NotFound`, `InvalidAllocationID.NotFound`, and for wrong filters.
pub fn addresses(request: &Value) -> Result<Value, Fault> {
    if let Some(address) = texts(request, "PublicIps").first() {
        return Err(Fault::new("InvalidAddress.NotFound", 400, format!("Address '{address}' not found.")));
    }
    asked(request, "AllocationIds", ADDRESS, &[])?;
    Ok(json!({"Addresses": pass("DescribeAddresses", request, Vec::new())?}))
}

/// `DescribePlacementGroups`: there are none.
///
/// # Errors
/// `InvalidPlacementGroup.Unknown`, and for wrong filters.
pub fn placement_groups(request: &Value) -> Result<Value, Fault> {
    if let Some(name) = texts(request, "GroupNames").first().or(texts(request, "GroupIds").first()) {
        let text = format!("The Placement Group '{name}' is unknown.");
        return Err(Fault::new("InvalidPlacementGroup.Unknown", 400, text));
    }
    Ok(json!({"PlacementGroups": pass("DescribePlacementGroups", request, Vec::new())?}))
}

/// `DescribeReservedInstances`: there are none.
///
/// # Errors
/// `InvalidParameterValue`, and for wrong filters.
pub fn reserved(request: &Value) -> Result<Value, Fault> {
    if let Some(id) = texts(request, "ReservedInstancesIds").first() {
        // assumed: code and text.
        let text = format!("The ID '{id}' for reservedInstances is invalid or does not exist");
        return Err(invalid(text));
    }
    Ok(json!({"ReservedInstances": pass("DescribeReservedInstances", request, Vec::new())?}))
}

/// `DescribeVpcPeeringConnections`: there are none.
///
/// # Errors
/// `InvalidVpcPeeringConnectionID.NotFound`, and for wrong filters and pages.
pub fn peerings(request: &Value) -> Result<Value, Fault> {
    asked(request, "VpcPeeringConnectionIds", PEERING, &[])?;
    pass("DescribeVpcPeeringConnections", request, Vec::new())?;
    page(request, PAGES, "VpcPeeringConnections", Vec::new())
}

/// `DescribeCapacityReservations`: there are none.
///
/// # Errors
/// `InvalidCapacityReservationId.NotFound`, and for wrong filters and pages.
pub fn reservations(request: &Value) -> Result<Value, Fault> {
    asked(request, "CapacityReservationIds", RESERVATION, &[])?;
    pass("DescribeCapacityReservations", request, Vec::new())?;
    page(request, Limits { least: 1, ..PAGES }, "CapacityReservations", Vec::new())
}
