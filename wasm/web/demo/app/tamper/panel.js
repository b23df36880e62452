export function tamperPanel() {}
