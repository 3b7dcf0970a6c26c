package mturklegacy

import (
	"net/http"
	"strings"

	"saldo/dialect"
)

// shapes are the types of the schema: what is in each, in order. A member is its
// name and its type; after that ? says that it may be left out, and * that there
// may be any number. The order is that of the WSDL of 2012-03-25; words that are
// one of some are strings here.
var shapes = []struct{ name, members string }{
	{"Price", "Amount:decimal CurrencyCode:string FormattedPrice:string?"},
	{"KeyValuePair", "Key:string? Value:string?"},
	{"Error", "Code:string? Message:string? Data:KeyValuePair*"},
	{"Errors", "Error:Error*"},
	{"OperationRequest", "RequestId:string? Errors:Errors?"},
	{"Request", "IsValid:string? Errors:Errors?"},
	{"Locale", "Country:string Subdivision:string?"},
	{"QualificationRequirement", "QualificationTypeId:string Comparator:string IntegerValue:int* LocaleValue:Locale* RequiredToPreview:boolean?"},
	{"HITLayoutParameter", "Name:string Value:string"},
	{"HIT", "Request:Request? HITId:string? HITTypeId:string? HITGroupId:string? HITLayoutId:string? CreationTime:dateTime? Title:string? " +
		"Description:string? Question:string? Keywords:string? HITStatus:string? MaxAssignments:int? Reward:Price? AutoApprovalDelayInSeconds:long? " +
		"Expiration:dateTime? AssignmentDurationInSeconds:long? RequesterAnnotation:string? QualificationRequirement:QualificationRequirement* " +
		"HITReviewStatus:string? NumberOfAssignmentsPending:int? NumberOfAssignmentsAvailable:int? NumberOfAssignmentsCompleted:int?"},
	{"Assignment", "AssignmentId:string? WorkerId:string? HITId:string? AssignmentStatus:string? AutoApprovalTime:dateTime? " +
		"AcceptTime:dateTime? SubmitTime:dateTime? ApprovalTime:dateTime? RejectionTime:dateTime? Deadline:dateTime? Answer:string? RequesterFeedback:string?"},
	{"BonusPayment", "WorkerId:string? BonusAmount:Price? AssignmentId:string? Reason:string? GrantTime:dateTime?"},

	{"GetAccountBalanceRequest", ""},
	{"GetAccountBalanceResult", "AvailableBalance:Price? OnHoldBalance:Price?"},
	{"RegisterHITTypeRequest", "AutoApprovalDelayInSeconds:long? AssignmentDurationInSeconds:long Reward:Price Title:string Keywords:string? " +
		"Description:string QualificationRequirement:QualificationRequirement*"},
	{"RegisterHITTypeResult", "HITTypeId:string?"},
	{"CreateHITRequest", "HITTypeId:string? MaxAssignments:int? AutoApprovalDelayInSeconds:long? LifetimeInSeconds:long? " +
		"AssignmentDurationInSeconds:long? Reward:Price? Title:string? Keywords:string? Description:string? Question:string? " +
		"RequesterAnnotation:string? QualificationRequirement:QualificationRequirement* UniqueRequestToken:string? HITLayoutId:string? " +
		"HITLayoutParameter:HITLayoutParameter*"},
	{"ExtendHITRequest", "HITId:string MaxAssignmentsIncrement:int? ExpirationIncrementInSeconds:long? UniqueRequestToken:string?"},
	{"ExtendHITResult", ""},
	{"ForceExpireHITRequest", "HITId:string"},
	{"ForceExpireHITResult", ""},
	{"DisableHITRequest", "HITId:string"},
	{"DisableHITResult", ""},
	{"DisposeHITRequest", "HITId:string"},
	{"DisposeHITResult", ""},
	{"ChangeHITTypeOfHITRequest", "HITId:string HITTypeId:string"},
	{"ChangeHITTypeOfHITResult", ""},
	{"SetHITAsReviewingRequest", "HITId:string Revert:boolean?"},
	{"SetHITAsReviewingResult", ""},
	{"GetHITRequest", "HITId:string"},
	{"SearchHITsRequest", "SortDirection:string? SortProperty:string? PageNumber:int? PageSize:int?"},
	{"SearchHITsResult", "PageNumber:int? NumResults:int? TotalNumResults:int? HIT:HIT*"},
	{"GetReviewableHITsRequest", "HITTypeId:string? Status:string? SortDirection:string? SortProperty:string? PageNumber:int? PageSize:int?"},
	{"GetReviewableHITsResult", "PageNumber:int? NumResults:int? TotalNumResults:int? HIT:HIT*"},
	{"GetAssignmentRequest", "AssignmentId:string"},
	{"GetAssignmentResult", "Assignment:Assignment? HIT:HIT?"},
	{"GetAssignmentsForHITRequest", "HITId:string SortDirection:string? SortProperty:string? PageNumber:int? PageSize:int? AssignmentStatus:string*"},
	{"GetAssignmentsForHITResult", "PageNumber:int? NumResults:int? TotalNumResults:int? Assignment:Assignment*"},
	{"ApproveAssignmentRequest", "AssignmentId:string RequesterFeedback:string?"},
	{"ApproveAssignmentResult", ""},
	{"ApproveRejectedAssignmentRequest", "AssignmentId:string RequesterFeedback:string?"},
	{"ApproveRejectedAssignmentResult", ""},
	{"RejectAssignmentRequest", "AssignmentId:string RequesterFeedback:string?"},
	{"RejectAssignmentResult", ""},
	{"GrantBonusRequest", "WorkerId:string BonusAmount:Price AssignmentId:string Reason:string UniqueRequestToken:string?"},
	{"GrantBonusResult", ""},
	{"GetBonusPaymentsRequest", "HITId:string? AssignmentId:string? PageNumber:int? PageSize:int?"},
	{"GetBonusPaymentsResult", "NumResults:int? PageNumber:int? TotalNumResults:int? BonusPayment:BonusPayment*"},
}

// members returns what is in a shape. Every request can name response groups, and
// every result begins with how its request was.
func members(name, members string) string {
	switch {
	case strings.HasSuffix(name, "Request") && name != "Request" && name != "OperationRequest":
		return members + " ResponseGroup:string*"
	case strings.HasSuffix(name, "Result"):
		return "Request:Request? " + members
	}
	return members
}

// addressHere stands in a description for the address that it is asked at.
const addressHere = "{address}"

// describe returns the WSDL of a version.
func describe(version int) string {
	var b strings.Builder
	space := bodySpace + versions[version].name
	b.WriteString(soapHeader + `<wsdl:definitions name="` + serviceName + `" targetNamespace="` + space + `" xmlns:tns="` + space +
		`" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema">` +
		"\n<wsdl:types><xs:schema elementFormDefault=\"qualified\" targetNamespace=\"" + space + "\">\n")
	for _, s := range shapes {
		b.WriteString(`<xs:complexType name="` + s.name + `">` + sequence(members(s.name, s.members)) + "</xs:complexType>\n")
	}
	served := operations[:0:0]
	for _, op := range operations {
		if op.since <= version {
			served = append(served, op)
		}
	}
	for _, op := range served {
		b.WriteString(`<xs:element name="` + op.name + `"><xs:complexType>` +
			sequence("AWSAccessKeyId:string? Timestamp:dateTime? Signature:string? Validate:string? Credential:string? Request:"+op.name+"Request*") +
			"</xs:complexType></xs:element>\n" +
			`<xs:element name="` + op.name + `Response"><xs:complexType>` + sequence("OperationRequest:OperationRequest? "+op.result+":"+op.result+"*") +
			"</xs:complexType></xs:element>\n")
	}
	b.WriteString("</xs:schema></wsdl:types>\n")
	for _, op := range served {
		for _, message := range []string{op.name, op.name + "Response"} {
			b.WriteString(`<wsdl:message name="` + message + `Message"><wsdl:part name="parameters" element="tns:` + message + "\"/></wsdl:message>\n")
		}
	}
	b.WriteString(`<wsdl:portType name="` + serviceName + "PortType\">\n")
	for _, op := range served {
		b.WriteString(`<wsdl:operation name="` + op.name + `"><wsdl:input message="tns:` + op.name + `Message"/><wsdl:output message="tns:` + op.name +
			"ResponseMessage\"/></wsdl:operation>\n")
	}
	b.WriteString("</wsdl:portType>\n" + `<wsdl:binding name="` + serviceName + `Binding" type="tns:` + serviceName + "PortType\">\n" +
		"<soap:binding style=\"document\" transport=\"http://schemas.xmlsoap.org/soap/http\"/>\n")
	for _, op := range served {
		b.WriteString(`<wsdl:operation name="` + op.name + `"><soap:operation soapAction="` + soapAction +
			`"/><wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>` + "\n")
	}
	b.WriteString("</wsdl:binding>\n" + `<wsdl:service name="` + serviceName + `"><wsdl:port name="` + serviceName + `Port" binding="tns:` + serviceName +
		`Binding"><soap:address location="` + addressHere + "\"/></wsdl:port></wsdl:service>\n</wsdl:definitions>\n")
	return b.String()
}

// sequence returns members as a schema has them.
func sequence(members string) string {
	var b strings.Builder
	b.WriteString("<xs:sequence>")
	for _, m := range strings.Fields(members) {
		name, kind, _ := strings.Cut(m, ":")
		bounds := ""
		if short, found := strings.CutSuffix(kind, "?"); found {
			kind, bounds = short, ` minOccurs="0"`
		} else if short, found := strings.CutSuffix(kind, "*"); found {
			kind, bounds = short, ` minOccurs="0" maxOccurs="unbounded"`
		}
		if strings.ToLower(kind[:1]) == kind[:1] {
			kind = "xs:" + kind
		} else {
			kind = "tns:" + kind
		}
		b.WriteString(`<xs:element name="` + name + `" type="` + kind + `"` + bounds + "/>")
	}
	b.WriteString("</xs:sequence>")
	return b.String()
}

// AsksWSDL reports whether a request is for the description of the service:
// GET /?WSDL, of the latest version, or with a Version.
func AsksWSDL(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for p := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if strings.EqualFold(strings.TrimSuffix(p, "="), "wsdl") {
			return true
		}
	}
	return false
}

// answerWSDL answers with the description of the service, which anybody may read.
func (s *server) answerWSDL(x *dialect.Exchange) error {
	var c call
	if err := c.readQuery(x); err != nil {
		return err
	}
	if c.version == "" {
		c.version = latestVersion
	}
	v := versionOf(c.version)
	switch {
	case v < 0:
		return refuse(codeVersion, shortened(c.version, 64), versionNames())
	case s.retired.versions[v]:
		return refuse(codeRetired)
	}
	x.Status, x.Header()["Content-Type"] = http.StatusOK, typeSOAP
	before, after, _ := strings.Cut(s.wsdl[v], addressHere)
	scheme := "http://"
	if x.TLS != nil || x.Request.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https://"
	}
	x.Out = append(x.Out[:0], before...)
	x.Out = append(x.Out, scheme...)
	x.Out = appendAttribute(x.Out, x.Host)
	x.Out = append(x.Out, "/?Service="+serviceName...)
	x.Out = append(x.Out, after...)
	return nil
}

// appendAttribute appends text as it stands in an attribute.
func appendAttribute(b []byte, s string) []byte {
	for part := range strings.SplitAfterSeq(s, `"`) {
		text, quote := strings.CutSuffix(part, `"`)
		b = appendText(b, text)
		if quote {
			b = append(b, "&quot;"...)
		}
	}
	return b
}
