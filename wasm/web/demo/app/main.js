import { filePanel } from "./file/panel.js";
import { keepOffline } from "./offline.js";
import { processorSwitch } from "./processor.js";
import { speechPanel } from "./speech/panel.js";
import { tamperPanel } from "./tamper/panel.js";
import { textPanel } from "./text/panel.js";
import { ignoreOtherDrops } from "./ui/drop.js";
import { tabs } from "./ui/tabs.js";

processorSwitch(document.getElementById("processor"));
const panels = { file: filePanel, text: textPanel, speech: speechPanel, tamper: tamperPanel };
for (const [id, start] of Object.entries(panels)) start(document.getElementById(id));
tabs(document.querySelector("[role=tablist]"));
ignoreOtherDrops();
keepOffline(document.getElementById("offline"));
