// Prompt injection as a careful engineer would write it in YARA: a rule set for the comparison in this folder, not part of
// Haltline. Written from what is published about such attacks, before any of it was run on the corpora, and not tuned on
// them since. A text counts as flagged when any rule matches.
//
// YARA sees bytes: it decodes nothing, but for the base64 that its `base64` modifier spells out; it does not fold
// homoglyphs or leetspeak; and it knows neither who said a text nor to whom.

// ── instructions that replace instructions ──

rule override_previous_instructions {
  strings:
    $a = /\b(ignore|disregard|forget|neglect|overlook|skip|override|bypass)\s+((any|all|every|each|everything|of|the|your|my|our|these|those|this|that|and|other|above|prior|previous|preceding|earlier|former|past|existing|current|original|initial|system|safety)\s+){0,6}(instructions?|directions?|directives?|prompts?|rules?|guidelines?|commands?|orders?|guardrails|programming|messages?|context|constraints?|restrictions?)\b/ nocase
    $b = /\b(ignore|disregard|forget)\s+(everything|all|anything|whatever)\s+((that|which|you|i|we|was|were|is|has|have|been|came|said|written|told)\s+){0,5}(above|before|previously|prior|earlier|so\s+far|up\s+to\s+(now|here|this))/ nocase
    $c = /\b(do\s+not|don'?t|stop)\s+(follow(ing)?|obey(ing)?|listen(ing)?\s+to|adher(e|ing)\s+to)\s+((any|all|the|your|my|of|these|those|previous|prior|above|earlier|original|system)\s+){0,5}(instructions?|rules?|guidelines?|prompts?|directives?)/ nocase
  condition:
    any of them
}

rule new_instructions {
  strings:
    $a = /\b(new|updated|real|actual|revised|true|important)\s+(system\s+)?(instructions?|directives?|task|orders?|objective)\s*(:|are\b|is\s+to\b|for\s+you\b)/ nocase
    $b = /\byour\s+(new|real|actual|true|only)\s+(task|goal|job|purpose|objective|mission|role)\s+(is|will\s+be)\b/ nocase
    $c = /\b(instead\s+of\s+(that|the\s+above|answering)|from\s+now\s+on|starting\s+now|henceforth)[,:]?\s+(you|your|please|only|always|act|answer|respond|reply|say)\b/ nocase
  condition:
    any of them
}

rule addressed_to_the_model {
  strings:
    $a = /\b(attention|note|notice|message|instructions?|reminder|hey|dear|important)\s*[,:]?\s*(to|for)?\s*(the\s+|all\s+|any\s+)?(ai|a\.i\.|llm|language\s+model|chatbot|virtual\s+assistant|ai\s+(assistant|agent|model)s?)\s*[:,!]/ nocase
    $b = /\bif\s+you\s+are\s+(an?\s+)?(ai|llm|large\s+language\s+model|language\s+model|chatbot|ai\s+(assistant|agent|model))\b/ nocase
  condition:
    any of them
}

rule foreign_language_override {
  strings:
    $german = /\b(ignorier(e|en)|vergiss|vergessen|missachte)\s+(sie\s+)?(bitte\s+)?(alle?|die|deine|ihre)\s+((bisherigen|vorherigen|vorigen|obigen|früheren)\s+)?(anweisungen|regeln|befehle|instruktionen)/ nocase
    $french = /\b(ignor(e|ez|er)|oubli(e|ez|er))\s+(toutes?\s+)?(les|tes|vos)\s+(instructions|consignes|directives|règles)/ nocase
    $spanish = /\b(ignor(a|e|ar)|olvid(a|e|ar))\s+(todas?\s+)?(las|tus|sus)\s+(instrucciones|reglas|indicaciones|órdenes)/ nocase
    $portuguese = /\b(ignor(e|ar)|esqueça|desconsidere)\s+(todas\s+)?(as|suas)\s+(instruções|regras|ordens)/ nocase
    $italian = /\b(ignora(re)?|dimentica(re)?)\s+(tutte\s+)?(le|tue)\s+(istruzioni|regole|indicazioni)/ nocase
    $russian = /(игнорируй|игнорируйте|забудь|забудьте)\s+(все\s+)?(предыдущие\s+)?(инструкции|указания|правила)/
    $chinese = /(忽略|无视|忘记)(所有|之前|以上|先前|你|的){0,4}(指令|指示|规则|提示)/
    $japanese = /(以前|これまで|上記|前)の(すべての)?(指示|命令|ルール)を(すべて)?(無視|忘れ)/
  condition:
    any of them
}

// ── the model's own secrets ──

rule system_prompt_extraction {
  strings:
    $a = /\b(reveal|show|print|repeat|output|display|tell|give|leak|expose|share|dump|disclose|recite|write\s+(out|down))\s+((me|us|the|your|all|of|back|exact|full|entire|complete|original|initial|hidden|secret|above|verbatim|everything\s+in)\s+){0,6}(system\s+(prompt|message|instructions?)|initial\s+(prompt|instructions?)|(hidden|secret|original|pre-?)\s*(prompt|instructions?)|instructions\s+(above|verbatim))/ nocase
    $b = /\b(what|which)\s+(is|are|was|were)\s+your\s+(system\s+prompt|(initial|original|exact|secret|hidden)\s+(prompt|instructions?|rules))/ nocase
    $c = /\b(repeat|print|output|copy)\s+(everything|all(\s+(of\s+)?the)?\s+(text|words)?|the\s+(text|words|lines?))\s*(above|before\s+this|verbatim|starting\s+(with|from))/ nocase
  condition:
    any of them
}

rule access_code_extraction {
  strings:
    $a = /\b(reveal|show|print|repeat|output|tell|give|leak|say|spell|what('s|\s+is|\s+was))\s+((me|us|the|your|out|exact|secret|hidden|back)\s+){0,4}(access\s+code|pass(word|code|phrase)|secret\s+(key|code|word|phrase))\b/ nocase
  condition:
    any of them
}

// ── jailbreaks ──

rule persona_without_limits {
  strings:
    $dan = /\b(do\s+anything\s+now|DAN\s+(mode|prompt)|(as|act\s+like|be|called|named|into|you\s+are)\s+DAN\b)/ nocase
    $named = /\b(STAN|DUDE|AIM|BetterDAN|EvilBOT|Mongo\s+Tom|NECO|KEVIN|ChadGPT|Evil[- ]?Confidant|AntiGPT)\s*(mode\b|,?\s+(which|who)\s+(stands|has|is|can|will)\b)/
    $stands = /\bstands\s+for\s+("|'|“)?(do\s+anything|strive\s+to\s+avoid|always\s+intelligent)/ nocase
    $immersion = /\bstay\s+(in|a)\s+(character|DAN)\b/ nocase
    $tokens = /\b(lose|deduct|have)\s+\d+\s+tokens\b/ nocase
  condition:
    any of them
}

rule special_mode {
  strings:
    $a = /\b(developer|debug|god|admin(istrator)?|root|sudo|jailbreak|unrestricted|unfiltered|uncensored|maintenance|opposite)[\s-]+mode\b/ nocase
    $b = /\b(jailbroken|jailbreak(ing)?\s+(prompt|response|yourself))\b/ nocase
    $c = /(🔒\s*classic|🔓\s*jailbreak)/ nocase
  condition:
    any of them
}

rule no_restrictions {
  strings:
    $a = /\b(without|no|free\s+(of|from)|not\s+bound\s+by|not\s+restricted\s+by|ignor(e|es|ing)|broken\s+free\s+of)\s+((any|all|the|of|moral|ethical|legal|content|usual|typical|normal|openai'?s?|or|and|your|safety)\s+){0,5}(restrictions?|limitations?|filters?|censorship|guidelines|confines|boundaries|constraints|safeguards|ethics|morals)\b/ nocase
    $b = /\b(unfiltered|uncensored|amoral|unethical)\s+(and\s+\w+\s+)?(ai|response|answer|assistant|chatbot|persona|version)/ nocase
    $c = /\bbypass(es|ing)?\s+((all|any|the|your|its|openai'?s?)\s+){0,3}(safety|content|ethical|moral|security)\s+(filters?|polic(y|ies)|guidelines?|restrictions?|measures|protocols?)/ nocase
  condition:
    any of them
}

rule role_play_setup {
  strings:
    $a = /\b(pretend|imagine|suppose|act\s+as\s+(if|though)|role-?play\s+as)\s+(that\s+)?(you\s+are|you're|to\s+be|being|you\s+have|you\s+can)\b/ nocase
    $b = /\byou\s+(are|will)\s+(now|no\s+longer|from\s+now\s+on)\s+(going\s+to\s+)?(an?|the|act|be|become|pretend|play|simulate|answer|respond|in)\b/ nocase
    $c = /\bi\s+want\s+you\s+to\s+(act|pretend|behave|role-?play|simulate)\b/ nocase
    $d = /\b(respond|answer|reply)\s+(as|like)\s+(an?\s+)?(evil|unfiltered|unrestricted|villain|immoral|amoral)/ nocase
  condition:
    any of them
}

rule refusal_suppression {
  strings:
    $a = /\b(never|do\s+not|don'?t|must\s+not|cannot|can'?t)\s+(ever\s+)?(refuse|decline|apologi[sz]e|say\s+(that\s+)?(you\s+)?(no|can'?t|cannot|sorry|you\s+can)|warn|add\s+(any\s+)?(disclaimers?|warnings?)|break\s+character|mention\s+(any\s+)?(ethic|polic|guideline))/ nocase
    $b = /\b(start|begin)\s+(your|the|every|each)\s+(response|answer|reply|output|sentence|message)s?\s+with\s+("|'|“)?(sure|absolutely|of\s+course|yes|certainly|i\s+have\s+been|access\s+granted)/ nocase
    $c = /\b(give|provide|generate|respond\s+with|write)\s+(me\s+)?two\s+(different\s+)?(responses|answers|outputs|paragraphs)/ nocase
  condition:
    any of them
}

// ── forged structure ──

rule chat_template_tokens {
  strings:
    $a = "<|im_start|>" nocase
    $b = "<|im_end|>" nocase
    $c = "<|system|>" nocase
    $d = "<|endoftext|>" nocase
    $e = "<|eot_id|>" nocase
    $f = "<|start_header_id|>" nocase
    $g = "[INST]"
    $h = "[/INST]"
    $i = "<<SYS>>" nocase
    $j = "<start_of_turn>"
    $k = /<\/?(system|assistant|user)_?(prompt|message|instructions?)?>/ nocase
  condition:
    any of them
}

rule forged_role {
  strings:
    $a = /(^|\n)[ \t]*[#*\[(<-]{0,4}[ \t]*(system|assistant|developer)[ \t]*(message|prompt|override|note|alert|instructions?|update)?[ \t]*[\])>*#]{0,4}[ \t]*:/ nocase
    $b = /(-{3,}|={3,}|#{3,}|\*{3,})\s*(end|begin|start)\s+(of\s+)?(the\s+)?(system|user|prompt|instructions?|context|document|input|conversation)/ nocase
    $c = /\b(system|admin(istrator)?|security)\s+(override|alert)\s*[:!]/ nocase
  condition:
    any of them
}

// ── what planted instructions ask for ──

rule hide_from_user {
  strings:
    $a = /\b(do\s+not|don'?t|never|without)\s+(tell(ing)?|inform(ing)?|mention(ing)?|alert(ing)?|notify(ing)?|reveal(ing)?|show(ing)?|ask(ing)?)\s+((this|that|it|anything|about|of|to|these)\s+){0,3}(the\s+|your\s+|any\s+)?(user|human|owner|customer|operator|anyone|them)\b/ nocase
    $b = /\b(secretly|silently|covertly|discreetly|without\s+(the\s+user'?s?|their)\s+(knowledge|consent|permission))\b/ nocase
  condition:
    any of them
}

rule exfiltration_request {
  strings:
    $a = /\b(send|forward|e-?mail|post|upload|transmit|exfiltrate|leak|copy|deliver|share)\s+((all|any|the|my|your|their|user'?s?|of|this|these|entire|full|it|them|me|conversation|personal|private|sensitive|financial|chat|saved|stored)\s+){0,6}(passwords?|credentials?|api\s+keys?|secrets?|tokens?|private\s+keys?|history|conversation|contacts|data|details|records?|files?|e-?mails?|addresses|cookies|information)\b[^\n]{0,120}(https?:\/\/|[a-z0-9._%+-]{1,40}@[a-z0-9.-]{1,60}\.[a-z]{2,})/ nocase
    $b = /!\[[^\]\n]{0,80}\]\(https?:\/\/[^)\s]{1,200}[?&][a-z_]{1,20}=[^)\n]{0,10}[{\[<$%]/ nocase
  condition:
    any of them
}

rule commanded_tool_use {
  strings:
    $a = /\b(you\s+must|please|now|immediately|first|then)\s+(call|invoke|execute|run|use)\s+(the\s+)?[`"']?[a-z][a-z0-9_]{2,40}[`"']?\s+(tool|function|api|command|plugin|action)\b/ nocase
    $b = /\b(execute|follow|perform|carry\s+out|comply\s+with|obey)\s+(the|this|these|my|all)\s+(following\s+)?(instructions?|commands?|tasks?|actions?|orders?|steps?)\s*(:|exactly|immediately|instead|without)/ nocase
  condition:
    any of them
}

rule destructive_command {
  strings:
    $a = /\brm\s+-(rf|fr|r\s+-f)\s+[\/~*]/
    $b = /\b(curl|wget)\s[^\n|]{1,200}\|\s*(sudo\s+)?(ba|z)?sh\b/
    $c = /\b(import\s+os\s*[;,\n]\s*os\.system|__import__\(['"]os['"]\)|os\.(system|popen)\(['"])/
    $d = /;\s*drop\s+(table|database)\s/ nocase
  condition:
    any of them
}

// ── hidden text ──

rule hidden_markup {
  strings:
    $comment = /<!--[^>]{0,200}\b(ignore|disregard|instructions?|assistant|you\s+must|ai\s+(agent|model))\b/ nocase
    $style = /style\s*=\s*["'][^"'>]{0,120}(display\s*:\s*none|font-size\s*:\s*0|visibility\s*:\s*hidden|opacity\s*:\s*0[;"'])/ nocase
  condition:
    any of them
}

rule invisible_characters {
  strings:
    $tags = { F3 A0 (80 | 81) ?? F3 A0 (80 | 81) ?? F3 A0 (80 | 81) ?? F3 A0 (80 | 81) ?? }
    $selectors = { F3 A0 (84 | 85 | 86 | 87) ?? F3 A0 (84 | 85 | 86 | 87) ?? F3 A0 (84 | 85 | 86 | 87) ?? }
    $zero_width = /[a-zA-Z](\xE2\x80\x8B|\xE2\x80\x8C|\xE2\x81\xA0|\xC2\xAD)[a-zA-Z]/
    $bidi = /(\xE2\x80[\xAA-\xAE]|\xE2\x81[\xA6-\xA9])/
  condition:
    $tags or $selectors or #zero_width > 3 or #bidi > 3
}

rule encoded_override {
  strings:
    $a1 = "gnore all previous" base64
    $a2 = "gnore previous instructions" base64
    $a3 = "gnore the above" base64
    $a4 = "isregard all previous" base64
    $a5 = "revious instructions" base64
    $a6 = "system prompt" base64
    $b = /\b(base64|rot-?13|hex|morse|caesar|ascii)[^\n]{0,60}\b(decode|decipher|decrypt|translate)[^\n]{0,80}\b(follow|execute|answer|obey|comply|do\s+what|respond)/ nocase
    $c = /\b(decode|decipher|decrypt)\b[^\n]{0,80}\b(follow|execute|answer|obey|comply|do\s+what|respond)\b/ nocase
    $hex = "69676e6f726520616c6c2070726576696f7573" nocase // ignore all previous
    $rot13 = /\bvtaber\s+(nyy\s+)?(cerivbhf|cevbe|gur\s+nobir)/ nocase
  condition:
    any of them
}

rule spelled_out_override {
  strings:
    $spaced = /\bi[\s._-]g[\s._-]n[\s._-]o[\s._-]r[\s._-]e[\s._-]{1,4}(a[\s._-]l[\s._-]l|p[\s._-]r[\s._-]e)/ nocase
    $leet = /\b[i1!l]gn[o0]r[e3]\s+([a4@]ll\s+)?([a4@]b[o0]v[e3]|pr[e3]v[i1!][o0]u[s5\$]|pr[i1!][o0]r)/ nocase
  condition:
    any of them
}
