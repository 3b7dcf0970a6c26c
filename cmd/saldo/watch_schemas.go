package main

import "encoding/json"

// documentOf makes the OpenAPI operation of a call.
func documentOf(tag, summary, request, answer string, list bool, params ...string) json.RawMessage {
	ref := func(name string) object { return object{"$ref": "#/components/schemas/" + name} }
	text := object{"type": "string"}
	parameters := []any{
		object{"name": "tenant", "in": "query", "description": "Which tenant, for credentials that open all.", "schema": text},
		object{"name": "Saldo-Tenant", "in": "header", "description": "Which tenant, by name or UUID, for credentials that open all.", "schema": text},
	}
	for _, p := range params {
		parameters = append(parameters, object{"name": p, "in": "path", "required": true, "schema": text})
	}
	if list {
		for _, name := range append([]string{"limit", "cursor"}, filters[answer]...) {
			parameters = append(parameters, object{"name": name, "in": "query", "schema": text})
		}
	}
	data := ref(answer)
	if list {
		data = object{"type": "object", "required": []string{"items"}, "additionalProperties": false, "properties": object{
			"items": object{"type": "array", "items": ref(answer)},
			"next":  object{"type": "string", "description": "Where the next page begins; absent at the end."}}}
	}
	o := object{"summary": summary, "tags": []string{tag}, "parameters": parameters, "responses": object{
		"2XX": object{"description": "Done.", "content": object{"application/json": object{"schema": object{"type": "object",
			"required": []string{"success", "data"}, "properties": object{"success": object{"const": true}, "data": data}}}}},
		"default": object{"$ref": "#/components/responses/Error"}}}
	if request != "" {
		parameters = append(parameters, object{"name": "Idempotency-Key", "in": "header", "description": "The same as id in the body.", "schema": text})
		o["parameters"] = parameters
		o["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": ref(request)}}}
	}
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // plain values marshal
	}
	return b
}

// watchSchemas are the shapes that the documents name.
var watchSchemas = func() map[string]json.RawMessage {
	shape := func(required string, properties string) json.RawMessage {
		return json.RawMessage(`{"type":"object","required":[` + required + `],"properties":{` + properties + `}}`)
	}
	const (
		text    = `{"type":"string"}`
		flag    = `{"type":"boolean"}`
		number  = `{"type":"integer"}`
		moment  = `{"$ref":"#/components/schemas/Time"}`
		textMap = `{"type":"object","additionalProperties":{"type":"string"}}`
		list    = `{"type":"array","items":{"type":"string"}}`
		idAnd   = `"id":` + text + `,"created_at":` + moment
		spec    = `"name":` + text + `,"address":` + text + `,"account":` + text + `,"options":` + textMap + `,"low":` + text + `,"critical":` + text +
			`,"runway":` + text + `,"labels":` + textMap + `,"mirror":` + text
		rule = `"name":` + text + `,"source":` + text + `,"account":` + text +
			`,"when":{"type":"string","enum":["balance","runway","reading_age","drift","credit_used","hold_expired"]}` +
			`,"levels":{"type":"array","items":{"type":"object","required":["level"],"properties":{"level":{"type":"string","enum":["warning","critical"]},"at":` + text + `}}}` +
			`,"clear":` + text + `,"cooldown_seconds":` + number + `,"quiet_until_top_up":` + flag + `,"to":` + list + `,"top_up":{"type":"object"}`
	)
	return map[string]json.RawMessage{
		"SourceRequest": shape(`"name","kind"`, `"id":`+text+`,"kind":`+text+`,"secret":`+text+`,"interval":`+text+`,`+spec),
		"Source": shape(`"id","created_at","name","vendor","state","time_left"`, idAnd+`,"vendor":`+text+`,`+spec+`,"interval_seconds":`+number+`,"from_file":`+flag+
			`,"state":{"type":"string","enum":["unknown","ok","low","critical","failed"]},"balance":`+text+`,"unit":`+text+`,"on_hold":`+text+`,"change_1d":`+text+
			`,"time_left":{"type":"object","required":["known"],"properties":{"known":`+flag+`,"least_seconds":`+number+`,"about_seconds":`+number+`,"most_seconds":`+number+`,"why":`+text+`}}`+
			`,"drift":`+text+`,"read_at":`+moment+`,"tried_at":`+moment+`,"next_at":`+moment+`,"reason":`+text+`,"why":`+text+`,"firing":`+list),
		"Removed":     shape(`"id","created_at","deleted"`, idAnd+`,"deleted":`+flag),
		"SourceTest":  shape(`"id","created_at","ok"`, idAnd+`,"ok":`+flag+`,"balance":`+text+`,"unit":`+text+`,"account":`+text+`,"reason":`+text+`,"why":`+text),
		"Reading":     shape(`"id","created_at","balance"`, idAnd+`,"balance":`+text+`,"consumed":`+text+`,"added":`+text+`,"drift":`+text),
		"RuleRequest": shape(`"name","when","levels"`, `"id":`+text+`,`+rule),
		"Rule":        shape(`"id","created_at","name","when","levels"`, idAnd+`,`+rule),
		"RuleTest": shape(`"id","created_at","endpoints"`, idAnd+`,"rule":`+text+
			`,"endpoints":{"type":"array","items":{"type":"object","required":["endpoint","ok"],"properties":{"endpoint":`+text+`,"ok":`+flag+`,"why":`+text+`}}}`),
		"WebhookRequest": shape(`"name","url"`, `"id":`+text+`,"name":`+text+`,"url":`+text+`,"secret":`+text+`,"types":`+list),
		"Webhook": shape(`"id","created_at","name","kind","url"`, idAnd+`,"name":`+text+`,"kind":`+text+`,"url":`+text+`,"types":`+list+`,"disabled":`+flag+
			`,"why":`+text+`,"from_file":`+flag+`,"secret":`+text),
		"WebhookTest": shape(`"id","created_at","ok"`, idAnd+`,"endpoint":`+text+`,"ok":`+flag+`,"why":`+text),
		"Delivery": shape(`"id","created_at","endpoint","alert","state"`, idAnd+`,"endpoint":`+text+`,"alert":`+text+`,"tries":`+number+
			`,"state":{"type":"string","enum":["open","dead"]},"next_at":`+moment+`,"error":`+text+`,"body":{"type":"object"}`),
		"Alert": shape(`"id","created_at","type","rule","level","state","crossing","text"`, idAnd+`,"type":`+text+`,"tenant":`+text+`,"rule":`+text+`,"rule_id":`+text+
			`,"level":`+text+`,"state":{"type":"string","enum":["firing","resolved"]},"crossing":`+number+`,"number":`+number+`,"source":`+text+`,"vendor":`+text+
			`,"account":`+text+`,"account_name":`+text+`,"when":`+text+`,"threshold":`+text+`,"value":`+text+`,"unit":`+text+`,"text":`+text+`,"labels":`+textMap+`,"test":`+flag),
	}
}()
