// Package docs holds the documents against the code: its tests fail when a document lags behind.
package docs
