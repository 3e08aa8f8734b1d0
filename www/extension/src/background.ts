// The service worker: the menu on selected text and the side panel, nothing else; it may end at any time.
import './shared/guard.js';
import { isJob, JOBS, leaveSelection, selectionOf } from './shared/jobs.js';

chrome.runtime.onInstalled.addListener(() => {
  chrome.contextMenus.removeAll(() => {
    for (const { job, name } of JOBS) {
      chrome.contextMenus.create({ id: job, title: name, contexts: ['selection'], documentUrlPatterns: ['http://*/*', 'https://*/*', 'file:///*'] });
    }
  });
});

chrome.contextMenus.onClicked.addListener(({ menuItemId, selectionText }, tab) => {
  if (!isJob(menuItemId) || selectionText === undefined || tab === undefined) return;
  // Right away: a panel may be opened only while the click lasts.
  void chrome.sidePanel.open({ windowId: tab.windowId }).catch(noPanel);
  void leaveSelection(tab.windowId, selectionOf(menuItemId, selectionText));
});

void chrome.sidePanel.setPanelBehavior({ openPanelOnActionClick: true });

/** The selection waits until the panel is opened by hand. */
function noPanel(error: unknown): void {
  console.warn('the side panel could not be opened', error);
}
